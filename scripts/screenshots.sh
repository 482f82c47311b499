#!/usr/bin/env bash
# Every screen in both languages, light, dark and in high contrast, from the real window, into docs/images/LANGUAGE[-dark|-contrast]/. The bundle comes
# from a stick that is an ext4 image on a loop device: this needs root.
set -euo pipefail
cd "$(dirname "$0")/.."
WORK=$(mktemp -d)
SLUICE=$PWD/bin/sluice
STICK=/media/OEM-STICK
export LANG=C.UTF-8 LC_ALL= TZ=UTC
. scripts/window.sh
finish() {
	display_down
	mountpoint -q "$STICK" && umount "$STICK"
	rmdir "$STICK" 2>/dev/null || true
	rm -rf "$WORK"
}
trap finish EXIT
[ "$(id -u)" = 0 ] || fail "want root, to mount the stick"
mkdir -p "$STICK"
truncate -s 64M "$WORK/stick.img"
mkfs.ext4 -q -F "$WORK/stick.img"
mount -o loop "$WORK/stick.img" "$STICK" || fail "this machine mounts no loop devices"
rmdir "$STICK/lost+found"

run() { "$SLUICE" "$@" --quiet; }
on() { "$SLUICE" "$@" --root "$ROOT" --quiet; }
keys=$WORK/keys
for name in oem-root oem-signing site-root site-policy anna jan; do run keys generate --out "$keys" --name $name --no-passphrase; done
for of in oem site; do
	target=$keys/oem-signing.pub
	[ $of = oem ] || target=$keys/site-policy.pub
	"$SLUICE" trust create --of $of --key "$keys/$of-root.key" --target "$target" --out "$WORK/$of.1.root.json" --json | sed 's/"fingerprint":"\([^"]*\)".*/|\1/; s/.*|//' >"$WORK/$of.note"
done
cp "$WORK/oem.1.root.json" "$STICK/"
cp -r assets/demo "$WORK/src"
run build --spec "$WORK/src/bundle.yaml" --key "$keys/oem-signing.key" --out "$STICK"
ROOT=$WORK/prepared
for of in oem site; do on trust init --of $of --from "$WORK/$of.1.root.json" --fingerprint "$(cat "$WORK/$of.note")" --operator "Anna Nowak"; done
on policy init --key "$keys/site-policy.key"
on people add --id anna --name "Anna Nowak" --role operator --pub "$keys/anna.pub" --key "$keys/site-policy.key"
on people add --id jan --name "Jan Kowalski" --role compliance --pub "$keys/jan.pub" --key "$keys/site-policy.key"

# take NAME: a picture without a number.
take() {
	sleep "${2:-0.8}"
	import -window "$WIN" +dither -colors 200 -define png:compression-level=9 "PNG8:$SHOTS/$1.png" # few colours: few bytes
}
# words KEY: the beginning of a title, up to the first thing that is filled in.
words() {
	local found
	found=$(sed -n "s/^\"ui\.$1\": \"\([^{\"]*\).*/\1/p" "assets/texts/messages.$lang.json")
	[ -n "$found" ] || fail "no words for $1"
	printf %s "$found"
}
# arrive KEY: waits for the page whose title has that key in the catalogue; turn KEY presses the primary button before.
arrive() { at "$(words "$1")"; }
turn() {
	primary
	arrive "$1"
}
# return_to KEY: presses Escape until that page is there.
return_to() {
	back() { arrived "$(words "$1")" || { press Escape && sleep 0.6 && arrived "$(words "$1")"; }; }
	waits 20 back "$1" || fail "Escape does not lead back from \"$(name)\""
	still
}
# signed STAGE PERSON ROLE: a sign-off by the command line.
signed() {
	rm -f "$WORK/answers.yaml"
	on signoff --stage "$1" --operator "$2" --template "$WORK/answers.yaml"
	sed -i -e '/rollback-plan/,/comment:/{s/answer:.*/answer: "not_applicable"/;s/comment:.*/comment: "the first version here"/}' \
		-e 's/answer: *""/answer: "yes"/' "$WORK/answers.yaml"
	on signoff --stage "$1" --operator "$2" --key "$keys/$2.key" --answers "$WORK/answers.yaml"
}

# A bundle of the next version in which one byte was changed, and one that the site signed itself.
sed 's/^version: .*/version: 1.1.0/' "$WORK/src/bundle.yaml" >"$WORK/src/next.yaml"
run build --spec "$WORK/src/next.yaml" --key "$keys/oem-signing.key" --out "$WORK/bad"
printf 'x' | dd of="$(ls "$WORK"/bad/*.zst)" bs=1 seek=25000 conv=notrunc status=none # in the trees, which every variant has
run build --spec "$WORK/src/next.yaml" --key "$keys/site-policy.key" --out "$WORK/hot"
GOOD=$(ls "$STICK"/*.zst)
mv "$GOOD" "$WORK/good.zst"
# stick FILE: this bundle and no other lies on the stick.
stick() {
	rm -f "$STICK"/*.zst
	cp "$1" "$STICK/$2"
	sync
}

for lang in ${LANGS:-pl en}; do
	for THEME in ${THEMES:-light dark contrast}; do
		SHOTS=$PWD/docs/images/$lang
		[ $THEME = light ] || SHOTS=$SHOTS-$THEME
		mkdir -p "$SHOTS"
		rm -rf "$WORK/bot" "$WORK/new"
		cp -r "$WORK/prepared" "$WORK/bot"
		stick "$WORK/good.zst" "$(basename "$GOOD")"
		display_up 1280 800
		window_up "$SLUICE" --root "$WORK/new" --lang $lang
		arrive first.oem.title
		listed() { click 470 326 && sleep 1 && primary_on; }
		take first-start 2.5
		waits "$PATIENCE" listed || fail "the list on the stick is not found"
		turn first.compare
		take fingerprint
		window_down
		ROOT=$WORK/bot
		window_up "$SLUICE" --root "$ROOT" --lang $lang
		arrive start.title
		take start-empty
		turn source.title
		waits "$PATIENCE" primary_on || fail "no bundle is found on the stick"
		take source
		turn authenticate.title
		take authenticate
		turn hardware.title
		take hardware 1.5
		press ctrl+j shift+Tab shift+Tab shift+Tab shift+Tab shift+Tab shift+Tab shift+Tab Return # footer, rail, the last link
		arrive measure.done
		take measured 1.5
		turn hardware.title
		turn install.done
		take install
		turn smoke.passed
		take smoke 2
		press ctrl+j shift+Tab Return # the button before the primary one
		arrive opinion.title
		take second-opinion
		press Escape
		arrive smoke.passed
		turn signoff.title.paper
		take signoff-paper 2
		window_down
		signed paper anna
		signed live anna
		window_up "$SLUICE" --root "$ROOT" --lang $lang
		arrive start.title
		take start-waiting
		turn signoff.title.live
		take signoff-live 2
		window_down
		signed live jan
		window_up "$SLUICE" --root "$ROOT" --lang $lang
		arrive start.title
		primary
		sleep 2
		take live-ready
		primary
		take live-question 1.5
		press Tab Return
		arrive live.on
		take live 1.5
		turn start.title
		"$SLUICE" check --root "$ROOT" --stage live --quiet
		window_down
		window_up "$SLUICE" --root "$ROOT" --lang $lang
		arrive start.title
		take start
		press ctrl+j shift+Tab shift+Tab shift+Tab shift+Tab shift+Tab shift+Tab Return # footer, rail, the last link
		arrive trust.title
		take trust
		return_to start.title
		press ctrl+j shift+Tab shift+Tab shift+Tab shift+Tab shift+Tab shift+Tab shift+Tab Return # the one before
		arrive people.title
		take people
		return_to start.title
		press ctrl+l
		arrive log.title
		take log
		return_to start.title
		press F1
		arrive help.title
		take help
		return_to start.title
		press ctrl+p
		take look 1.5
		window_down
		stick "$(ls "$WORK"/bad/*.zst)" market-regime-v1.1.0.tar.zst
		window_up "$SLUICE" --root "$ROOT" --lang $lang
		arrive start.title
		turn source.title
		waits "$PATIENCE" primary_on || fail "no bundle is found on the stick"
		turn authenticate.title
		turn hardware.title
		turn problem.title.3
		take refused
		window_down
		stick "$(ls "$WORK"/hot/*.zst)" market-regime-v1.1.0.tar.zst
		window_up "$SLUICE" --root "$ROOT" --lang $lang
		arrive start.title
		turn source.title
		waits "$PATIENCE" primary_on || fail "no bundle is found on the stick"
		turn problem.title.3
		press shift+Tab shift+Tab Return # before the button that saves a copy
		arrive urgent.title
		take emergency
		window_down
		display_down
		echo "screenshots: $SHOTS"
	done
done
