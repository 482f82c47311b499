# The second half of scripts/e2e.sh, sourced by it: a variant that fails its test, all of them measured, a second opinion, the
# supplier's next list of trusted keys from the stick, an emergency and its review, a key that has leaked. It wants 1.0.0 live
# and $STICK, $vendor, $WORK/safe (the site's keys), $WORK/anna and $WORK/jan as they are there; the window is closed.

# second_last: presses the button before the primary one, by keys.
second_last() { press ctrl+j shift+Tab Return; }

# on_stick FILE…: these and nothing else are on the stick.
on_stick() {
	find "$STICK" -mindepth 1 -maxdepth 1 ! -name lost+found -exec rm -rf {} +
	cp "$@" "$STICK/"
	sync
}

# release VERSION KEY [SPEC]: builds the demo models under a version, signed by a key, and names the file.
release() {
	sed "s/^version: .*/version: $1/" "${3:-$WORK/src/bundle.yaml}" >"$WORK/src/release.yaml"
	mkdir -p "$WORK/out"
	printf 'haslo-zakladu\n' | "$SLUICE" build --spec "$WORK/src/release.yaml" --key "$2" --passphrase-file - --out "$WORK/out" --quiet
	RELEASE=$(ls "$WORK"/out/*"-v$1.tar.zst")
}

# last_link FOOT: presses the last link of a page, by keys: over the buttons of the footer but the primary one, and the rail.
last_link() {
	local n
	press ctrl+j
	for n in $(seq $(($1 + 5))); do press shift+Tab; done
	press Return
}

# install_beside: installs while something waits for signatures, and is what the primary button leads to.
install_beside() { press ctrl+j shift+Tab shift+Tab Return; }

# to_source BUTTON: from the start to the list of bundles, with the one on the stick chosen.
to_source() {
	at "Modele na tym komputerze"
	"$@"
	at "Wybierz pakiet modeli"
	found_on_stick
}

# --- the first variant in the signed order computes wrongly here: it becomes a row, and the next one is tried
sed -e 's|^  - id: cuda-fp32|  - {id: cpu-wrong, priority: 400, engine: onnx, execution_provider: cpu, artifacts: [artifacts/models/market-regime-int8.onnx, artifacts/models/volatility-trees.onnx, artifacts/metadata/features.json, artifacts/metadata/model-card.md]}\n&|' \
	"$WORK/src/bundle.yaml" >"$WORK/src/wrong.yaml"
release 2.0.0 "$vendor/oem-signing.key" "$WORK/src/wrong.yaml"
on_stick "$RELEASE"
window_up "$SLUICE" --root "$ROOT" --lang pl
to_source primary
primary
at "Podpis jest prawdziwy"
primary
at "Który wariant pasuje"
last_link 2
at "Wszystkie warianty obok siebie"
shot measured
says '"event":"measured"' log show
said '"demo":{"version":"2.0.0"' status && fail "measuring has installed"
primary
at "Który wariant pasuje"
primary
at "Skopiowano i sprawdzono: cpu-wrong"
primary
at "Test zaliczony: cpu-"
shot failed-variant
says '"demo":{"version":"2.0.0","variant":"cpu-' status
said '"demo":{"version":"2.0.0","variant":"cpu-wrong"' status && fail "the variant that failed is the installed one"
says '"event":"smoke_rows"' log show
second_last
at "Druga opinia"
shot second-opinion
says '"event":"second_opinion"' log show
press Return
at "Test zaliczony"
press Escape

# --- the supplier's next list lies on the stick: it is taken over before the bundle is judged by it
"$SLUICE" keys generate --out "$vendor" --name oem-next --no-passphrase --quiet
"$SLUICE" trust rotate --of oem --from "$ROOT/ai_models/keys/oem/1.root.json" --remove "$vendor/oem-signing.pub" --pub "$vendor/oem-next.pub" --key "$vendor/oem-root.key" --out "$WORK/oem.2.root.json" --quiet
release 2.1.0 "$vendor/oem-next.key"
on_stick "$RELEASE" "$WORK/oem.2.root.json"
to_source install_beside
primary
at "Podpis jest prawdziwy"
shot list-from-the-stick
says '"of":"oem","version":2' trust show
says '"version":"1.0.0"' check # a rotation closes nothing
press Escape

# --- an emergency: the site signed the bundle itself, because the supplier could not be waited for
release 2.2.0 "$WORK/safe/site-policy.key"
on_stick "$RELEASE"
to_source install_beside
primary
at "Tego pakietu nie wolno użyć"
shot emergency-refused
press ctrl+j shift+Tab shift+Tab Return # between another bundle and the copy for support
at "Podpisał to zakład, nie dostawca"
shot emergency-empty
primary_on && fail "an emergency goes on without a reason"
write "wrong prices since 14:00, the supplier does not answer"
shot emergency-reason
press Return
at "Podpis jest prawdziwy"
shot emergency-authenticate
primary
at "Który wariant pasuje"
primary
at "Skopiowano i sprawdzono"
primary
at "Test zaliczony"
shot emergency-smoke
says '"demo":{"version":"2.2.0"' status
says '"review":"owed"' status
says '"version":"1.0.0"' check
press Escape
at "Modele na tym komputerze"
shot emergency-start
press ctrl+j Tab Return # past the end: the first link of the page, in the mark
at "Przegląd wersji awaryjnej 2.2.0"
press ctrl+j space Right ctrl+j # Jan, who is named second
write "compared with 1.0.0, the same answers within tolerance"
press ctrl+j
write "$WORK/jan/jan.key"
waits "$PATIENCE" primary_on || fail "Jan cannot sign the review"
shot emergency-review
press ctrl+j Return
says '"review":"accepted"' status
says '"reviewer":"jan"' status
still
shot emergency-reviewed
press Return

# --- the keys of the supplier's build machine have leaked, the one too that signed what is live: a stick brings the revocation, its bundle is refused and the gate closes
"$SLUICE" trust revoke --of oem --pub "$vendor/oem-signing.pub" --pub "$vendor/oem-next.pub" --reason "leaked, see the call of 14:20" --key "$vendor/oem-root.key" --out "$WORK/revocations.json" --quiet
release 2.3.0 "$vendor/oem-next.key"
on_stick "$RELEASE" "$WORK/revocations.json"
to_source install_beside
primary
at "To zostało unieważnione"
shot revoked
says 'E-REVOKED' check
press Return
at "Modele na tym komputerze"
shot gate-closed
last_link 2
at "Komu wierzy ten komputer"
shot trusted-keys
says '"number":1' trust show
press Escape
at "Modele na tym komputerze"
