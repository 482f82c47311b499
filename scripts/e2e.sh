#!/usr/bin/env bash
# The whole journey in the real window, with real clicks and keys, on a display of its own: first start, install from a
# stick, sign paper and live as two people, go live, check the gate, update while live, roll back, pull the stick in the
# middle, tamper with a bundle. Pictures are kept in dist/e2e/. What happened is judged by the command line, not by the pictures.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/window.sh
own_mounts "$@"
WORK=$(mktemp -d)
SHOTS=$PWD/dist/e2e
SLUICE=$PWD/bin/sluice
ROOT=$WORK/bot
BEGAN=$(date +%s)
export LANG=C.UTF-8 LC_ALL= TZ=UTC
rm -rf "$SHOTS"

STICK=$WORK/stick
MOUNTED=""
finish() {
	display_down
	stick_out -l 2>/dev/null || true
	[ -z "$MOUNTED" ] || rmdir "$STICK" 2>/dev/null || true
	rm -rf "$WORK"
}
trap finish EXIT

# The stick is a file system of its own on a loop device where that is allowed: the window notices it by itself. Else it
# is a folder that the person drags onto the window; STICK_IS_FOLDER=yes makes it one.
stick_in() {
	[ -n "$MOUNTED" ] || return 0
	mount -o loop "$WORK/stick.img" "$STICK"
}
stick_out() {
	[ -n "$MOUNTED" ] || return 0
	mountpoint -q "$STICK" && umount ${1:-} "$STICK"
}
stick_make() {
	if [ -z "${STICK_IS_FOLDER:-}" ] && [ "$(id -u)" = 0 ] && command -v mkfs.ext4 >/dev/null; then
		truncate -s 640M "$WORK/stick.img"
		mkfs.ext4 -q -F "$WORK/stick.img"
		STICK=/media/sluice-e2e-$$
		mkdir -p "$STICK"
		if mount -o loop "$WORK/stick.img" "$STICK" 2>/dev/null; then
			MOUNTED=yes
			echo "e2e: the stick is an ext4 image on a loop device, mounted at $STICK"
			return
		fi
		rmdir "$STICK"
		STICK=$WORK/stick
	fi
	mkdir -p "$STICK"
	echo "e2e: the stick is a folder: this machine mounts no loop devices"
}

answer() { "$SLUICE" "$@" --root "$ROOT" --json 2>/dev/null; }

# says WANT VERB…: the command line's JSON answer holds a text; it is asked until then.
says() {
	local want=$1
	shift
	waits "$PATIENCE" said "$want" "$@" || fail "\"sluice $*\" does not say $want but $(answer "$@")"
	echo "e2e: $1 says $want"
}
said() {
	local want=$1
	shift
	case $(answer "$@") in *"$want"*) return 0 ;; esac
	return 1
}

# answers STAGE PERSON: answers each question that the command line asks too, "yes" where the evidence allows it. Ctrl+J
# goes to what is still missing; afterwards that is the key.
answers() {
	local no_evidence="" line
	rm -f "$WORK/answers.yaml"
	"$SLUICE" signoff --root "$ROOT" --stage "$1" --operator "$2" --template "$WORK/answers.yaml" --quiet
	while read -r line; do
		case $line in
		"# Answer: there is no evidence"*) no_evidence=yes ;;
		"- id: "*)
			press ctrl+j
			if [ -n "$no_evidence" ]; then
				press Right Right ctrl+j # no, then: not applicable, which wants a comment
				write "The first version here"
				no_evidence=""
			else
				press space
			fi
			;;
		esac
	done <"$WORK/answers.yaml"
	press ctrl+j
	write "$WORK/$2/$2.key"
	waits "$PATIENCE" primary_on || fail "$2 cannot sign for $1"
}

# --- the supplier's side, by the command line
stick_make
vendor=$WORK/vendor
"$SLUICE" keys generate --out "$vendor" --name oem-root --no-passphrase --quiet
"$SLUICE" keys generate --out "$vendor" --name oem-signing --no-passphrase --quiet
"$SLUICE" trust create --of oem --key "$vendor/oem-root.key" --target "$vendor/oem-signing.pub" --out "$STICK/oem.1.root.json" --json >"$WORK/note.json"
NOTE=$(sed 's/"fingerprint":"\([^"]*\)".*/|\1/; s/.*|//' "$WORK/note.json") # the delivery note, which comes another way
cp -r assets/demo "$WORK/src"
"$SLUICE" build --spec "$WORK/src/bundle.yaml" --key "$vendor/oem-signing.key" --out "$STICK" --quiet
"$SLUICE" keys generate --out "$WORK/anna" --name anna --no-passphrase --quiet
"$SLUICE" keys generate --out "$WORK/jan" --name jan --no-passphrase --quiet
mkdir -p "$WORK/safe"

sed 's/^version: 1.0.0$/version: 1.1.0/' "$WORK/src/bundle.yaml" >"$WORK/src/next.yaml"
"$SLUICE" build --spec "$WORK/src/next.yaml" --key "$vendor/oem-signing.key" --out "$WORK" --quiet
ONE=$(basename "$(ls "$STICK"/*1.0.0.tar.zst)") NEXT=$(basename "$(ls "$WORK"/*1.1.0.tar.zst)")

# --- first start: whom to trust, who signs
display_up 1280 800
window_up "$SLUICE" --root "$ROOT" --lang pl
echo "e2e: first painted frame after $PAINTED_MS ms"
at "Ten komputer nie zna jeszcze dostawcy"
if [ -n "$MOUNTED" ]; then
	found() { click 470 326 && sleep 1 && primary_on; } # the list that the window has found on the stick
	waits "$PATIENCE" found || fail "the list on the stick is not found"
else
	write "$STICK/oem.1.root.json"
fi
shot first-start
primary
at "Porównaj odcisk"
# shellcheck disable=SC2086
set -- $NOTE
write "0000 0000"
press Tab
write "Anna Nowak"
press Return
at "Tej liście nie wolno zaufać"
shot wrong-fingerprint
says '"roots":[]' trust show
press Return
at "Porównaj odcisk"
write "${15} ${16}"
shot fingerprint
press Return
at "Ten komputer nie zna jeszcze Twojego zakładu"
says '"of":"oem"' trust show
click 543 276 # the site has no list yet
at "Klucze Twojego zakładu"
write "$WORK/safe"
press Tab Tab
write "haslo-zakladu"
press Tab
write "haslo-zakladu"
press Tab
write "Anna Nowak"
shot site-keys
press Return
at "Pierwsze dwie osoby"
says '"of":"site"' trust show
for person in "Anna Nowak" "Jan Kowalski"; do
	id=$(echo "${person%% *}" | tr A-Z a-z)
	at "Pierwsze dwie osoby"
	primary
	at "Dodaj osobę"
	write "$person"
	press Tab Tab Tab Tab
	write "$WORK/$id/$id.pub"
	press Tab Tab Tab Tab Tab
	write "haslo-zakladu"
	shot "add-$id"
	press Return
	says "\"id\":\"$id\"" people list
done
at "Pierwsze dwie osoby"
shot people
primary

# --- install from the stick
at "Modele na tym komputerze"
shot start-empty

# found_on_stick: waits until the window has found a bundle, and chosen it; a stick that is a folder is dragged onto it.
found_on_stick() {
	[ -n "$MOUNTED" ] || python3 scripts/drop.py "$WIN" "$STICK"
	waits "$PATIENCE" primary_on || fail "no bundle is found on the stick"
	still
}

# install VERSION: from the list of bundles to the finished test.
install() {
	at "Wybierz pakiet modeli"
	found_on_stick
	shot "source-$1"
	primary
	at "Podpis jest prawdziwy"
	shot "authenticate-$1"
	primary
	at "Który wariant pasuje"
	shot "hardware-$1"
	primary
	at "Skopiowano i sprawdzono"
	shot "installed-$1"
	primary
	at "Test zaliczony"
	says "\"demo\":{\"version\":\"$1\"" status
	shot "smoke-$1"
}
primary
install 1.0.0

# --- sign paper, then live, as two people
# sign_paper VERSION
sign_paper() {
	primary
	at "Odbiór: przejście do trybu paper"
	press Tab space space # evidence unfolds, and folds
	answers paper anna
	shot "paper-anna-$1"
	press Return
	says "\"paper\":{\"version\":\"$1\"" status
	at "Modele"
	shot "paper-$1"
	primary
	at "Modele na tym komputerze"
	shot "start-paper-$1"
}
# sign_live VERSION
sign_live() {
	primary
	at "Odbiór: przejście do trybu live"
	press ctrl+j space # Anna, who is named first
	answers live anna
	shot "live-anna-$1"
	press Return
	says '"roles":["compliance"]' status
	at "Odbiór: przejście do trybu live"
	answers live jan
	shot "live-jan-$1"
	press Return
	at "$1 gotowa do trybu live"
	shot "live-ready-$1"
	primary
	shot "live-question-$1"
	press Tab Return
	at "Modele $1 działają w trybie live"
	says "\"version\":\"$1\"" check
	shot "live-$1"
}
sign_paper 1.0.0
sign_live 1.0.0

# --- an update while live: the old version stays until the new one is signed and switched on
primary
at "Modele na tym komputerze"
shot start-live
cp "$WORK/$NEXT" "$STICK/"
sync
primary
install 1.1.0
says '"version":"1.0.0"' check
sign_paper 1.1.0
. scripts/e2e-request.sh
if [ -n "$MOUNTED" ]; then
	sign_live_elsewhere 1.1.0
else
	echo "e2e: the second person signs here: a file dialog finds no stick that is a folder"
	sign_live 1.1.0
fi

# --- and back: one person's signature with a reason suffices
click 346 687 # Wróć do 1.0.0
at "Powrót do wersji 1.0.0"
press ctrl+j space ctrl+j
write "Drift above the agreed limit"
press ctrl+j
write "$WORK/anna/anna.key"
shot rollback-form
press Return
says '"version":"1.0.0"' check
at "Modele 1.0.0 działają w trybie live"
shot rolled-back
says '"event":"rollback' log show

# --- the log tells it
press ctrl+l
at "Dziennik decyzji"
shot log
press Escape Escape

# --- a tampered bundle: one byte of a copy with a higher version
cp "$WORK/src/bundle.yaml" "$WORK/src/bad.yaml"
sed -i 's/^version: 1.0.0$/version: 1.2.0/' "$WORK/src/bad.yaml"
"$SLUICE" build --spec "$WORK/src/bad.yaml" --key "$vendor/oem-signing.key" --out "$WORK" --quiet
BAD=$(basename "$(ls "$WORK"/*1.2.0.tar.zst)")
cp "$WORK/$BAD" "$STICK/$BAD"
printf 'x' | dd of="$STICK/$BAD" bs=1 seek=25000 conv=notrunc status=none # in the trees, which every variant has
sync
window_down
window_up "$SLUICE" --root "$ROOT" --lang pl
at "Modele na tym komputerze"
primary
at "Wybierz pakiet modeli"
found_on_stick
python3 scripts/drop.py "$WIN" "$STICK/$BAD" # dragged onto the window, it is the one that is chosen
still
shot tampered-source
primary
at "Podpis jest prawdziwy" # the head is whole: what was changed lies in a model
primary
at "Który wariant pasuje"
primary
at "Tego pakietu nie wolno użyć"
shot tampered
if [ -n "$MOUNTED" ]; then # the copy for the supplier goes to the stick without looking for it
	press ctrl+j shift+Tab Return # the button before the primary one
	still
	shot save-copy
	click 1000 640
	saved() { [ -s "$(ls "$STICK"/sluice-*.txt)" ]; }
	waits "$PATIENCE" saved || fail "no copy on the stick"
	still
	shot saved-copy
	press Return
	echo "e2e: a copy of the refusal is on the stick: $(grep -o 'E-[A-Z-]*' "$STICK"/sluice-*.txt | head -n 1)"
fi
says '"version":"1.0.0"' check
rm "$STICK/$BAD"

# --- the stick is pulled in the middle of copying, and comes back
if [ -n "$MOUNTED" ]; then
	cp -r "$WORK/src" "$WORK/big"
	extra=$(dirname "$(ls "$WORK"/big/models/*.onnx | head -n 1)")
	head -c 360000000 /dev/urandom >"$extra/extra.bin"
	sed -e 's/^version: 1.0.0$/version: 1.3.0/' -e 's|^  - {path: artifacts/metadata/model-card.md.*|&\n  - {path: artifacts/models/extra.bin, role: weights}|' \
		-e 's|artifacts/metadata/model-card.md\]|artifacts/metadata/model-card.md, artifacts/models/extra.bin]|' "$WORK/src/bundle.yaml" >"$WORK/big/bundle.yaml"
	"$SLUICE" build --spec "$WORK/big/bundle.yaml" --key "$vendor/oem-signing.key" --out "$STICK" --quiet
	sync
	stick_out
	cp --sparse=always "$WORK/stick.img" "$WORK/stick.copy"
	primary
	at "Modele na tym komputerze"
	primary
	at "Wybierz pakiet modeli"
	shot stick-out
	! primary_on || fail "a bundle can be chosen without a stick"
	stick_in
	found_on_stick
	shot stick-in
	primary
	at "Podpis jest prawdziwy"
	primary
	at "Który wariant pasuje"
	primary
	copying() { compgen -G "$ROOT/.staging/*.partial"; }
	waits "$PATIENCE" copying || fail "nothing is copied"
	umount -l "$STICK" # pulled: what is open cannot be read on
	truncate -s 0 "$WORK/stick.img"
	at "Nośnik został wyjęty"
	shot stick-pulled
	says '"version":"1.0.0"' check
	cp --sparse=always "$WORK/stick.copy" "$WORK/stick.img.new"
	mv "$WORK/stick.img.new" "$WORK/stick.img"
	stick_in
	primary
	at "Skopiowano i sprawdzono"
	shot stick-resumed
else
	echo "e2e: pulling the stick is left out: folders cannot be pulled"
fi

window_down
. scripts/e2e-trust.sh
window_down
echo "e2e: passed in $(($(date +%s) - BEGAN)) s; pictures are in dist/e2e"
