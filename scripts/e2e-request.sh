# A part of scripts/e2e.sh, sourced by it: the second signature of live is made in a second window, on a computer without an
# installation, from a request that travels on the stick. It wants what e2e.sh has made, and a stick that is mounted.

# last_groups LIST: the last two groups of a list's fingerprint, as they stand on its delivery note.
last_groups() { sha256sum "$ROOT/ai_models/keys/$1/1.root.json" | cut -c57-64; }

# on_the_stick FILE: presses the save button of the dialog, which begins at the stick, and waits for the file.
on_the_stick() {
	still
	click 1000 640
	there() { [ -s "$STICK/$1" ]; }
	waits "$PATIENCE" there "$1" || fail "$1 is not on the stick"
	still
	press Return # what says that it was saved
	echo "e2e: $1 is on the stick"
}

# sign_live_elsewhere VERSION: as sign_live, but Jan signs on his own computer.
sign_live_elsewhere() {
	local file=wniosek-live-$1
	primary
	at "Odbiór: przejście do trybu live"
	press ctrl+j space
	answers live anna
	press Return
	says '"roles":["compliance"]' status
	window_down # and another day
	window_up "$SLUICE" --root "$ROOT" --lang pl
	at "Modele na tym komputerze"
	primary
	at "Odbiór: przejście do trybu live"
	press Tab Tab Return
	at "Wniosek o podpis"
	shot request
	primary
	at "Wniosek jest gotowy"
	on_the_stick "$file.json"
	shot request-made
	says '"event":"signoff_request"' log show --log live_execution
	window_down

	window_up "$SLUICE" --root "$WORK/office" --lang pl
	at "Ten komputer nie zna jeszcze dostawcy"
	press Tab Tab Return
	at "Otwórz wniosek o podpis"
	write "$STICK/$file.json"
	at "Otwórz wniosek o podpis"
	press ctrl+j
	write "$(last_groups oem)"
	press ctrl+j
	write "$(last_groups site)"
	shot request-compare
	press Return
	at "Wniosek o podpis: live, wersja $1"
	answers live jan
	shot request-answers
	press Return
	at "Podpisano: live, wersja $1"
	primary
	on_the_stick "$file.signed.json"
	shot request-signed
	primary
	at "Ten komputer nie zna jeszcze dostawcy"
	[ ! -e "$WORK/office/ai_models" ] || fail "signing elsewhere made an installation"
	window_down

	says '"roles":["compliance"]' status # nothing counts before it is back
	window_up "$SLUICE" --root "$ROOT" --lang pl
	at "Modele na tym komputerze"
	primary
	at "Odbiór: przejście do trybu live"
	press Tab Tab Tab Return
	at "Dołącz podpis z pliku"
	write "$STICK/$file.json" # the request itself is no answer
	press Return
	says '"code":"E-REQUEST"' log show
	shot attach-refused
	press Return
	at "Dołącz podpis z pliku"
	press ctrl+a
	write "$STICK/$file.signed.json"
	press Return
	at "$1 gotowa do trybu live"
	shot attached
	primary
	press Tab Return
	at "Modele $1 działają w trybie live"
	says "\"version\":\"$1\"" check
	rm "$STICK/$file.json" "$STICK/$file.signed.json"
}
