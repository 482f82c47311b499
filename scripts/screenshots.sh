#!/usr/bin/env bash
# Every screen in both languages, light and dark, from the real window, into docs/images/LANGUAGE[-dark]/. The bundle comes
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
# turn KEY: presses the primary button and waits for the page whose title has that key in the catalogue.
turn() {
	local words
	words=$(sed -n "s/^\"ui\.$1\": \"\([^{\"]*\).*/\1/p" "assets/texts/messages.$lang.json")
	[ -n "$words" ] || fail "no words for $1"
	primary 0.3
	at "$words"
}
# signed STAGE PERSON ROLE: a sign-off by the command line.
signed() {
	rm -f "$WORK/answers.yaml"
	on signoff --stage "$1" --operator "$2" --template "$WORK/answers.yaml"
	sed -i -e '/rollback-plan/,/comment:/{s/answer:.*/answer: "not_applicable"/;s/comment:.*/comment: "the first version here"/}' \
		-e 's/answer: *""/answer: "yes"/' "$WORK/answers.yaml"
	on signoff --stage "$1" --operator "$2" --key "$keys/$2.key" --answers "$WORK/answers.yaml"
}

for lang in pl en; do
	for THEME in light dark; do
		SHOTS=$PWD/docs/images/$lang
		[ $THEME = light ] || SHOTS=$SHOTS-dark
		mkdir -p "$SHOTS"
		rm -rf "$WORK/bot" "$WORK/new"
		cp -r "$WORK/prepared" "$WORK/bot"
		display_up 1280 800
		window_up "$SLUICE" --root "$WORK/new" --lang $lang
		take first-start 2.5
		click 470 326 1
		turn first.compare
		take fingerprint
		window_down
		ROOT=$WORK/bot
		window_up "$SLUICE" --root "$ROOT" --lang $lang
		take start-empty
		turn source.title
		take source 3
		turn authenticate.title
		take authenticate
		turn hardware.title
		take hardware 1.5
		turn install.done
		take install
		turn smoke.passed
		take smoke 2
		turn signoff.title.paper
		take signoff-paper 2
		window_down
		signed paper anna
		signed live anna
		window_up "$SLUICE" --root "$ROOT" --lang $lang
		take start-waiting
		turn signoff.title.live
		take signoff-live 2
		window_down
		signed live jan
		on live enable
		on check --stage live
		window_up "$SLUICE" --root "$ROOT" --lang $lang
		take start
		press ctrl+j shift+Tab shift+Tab shift+Tab shift+Tab shift+Tab shift+Tab shift+Tab Return # footer, rail, the last link but one
		take people 1.5
		press Escape ctrl+l
		take log 1.5
		press Escape Escape F1
		take help
		press Escape ctrl+p
		take look
		window_down
		display_down
		echo "screenshots: $SHOTS"
	done
done
