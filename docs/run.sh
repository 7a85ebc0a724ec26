#!/bin/sh
# Makes docs/run.png: what a terminal shows of the README's first command. Needs Go,
# tmux, ImageMagick and the font DejaVu Sans Mono (Debian: tmux imagemagick
# fonts-dejavu-core), and the few minutes that the command takes.
set -eu
cd "$(dirname "$0")/.."
work=$(mktemp -d)
session=vicreg-run-$$
trap 'tmux kill-session -t $session 2>/dev/null || true; rm -r "$work"' EXIT
go build -o "$work/vicreg" ./cmd/vicreg
tmux new-session -d -s $session -x 160 -y 32 "cd $work; export TERM=screen-256color NO_COLOR= PATH=$work:\$PATH; clear
	vicreg pretrain; touch done; sleep 60"
look() { tmux capture-pane -e -p -t $session; }
while [ ! -e "$work/done" ]; do
	look >"$work/now" # the last look that has a bar far enough is kept
	if grep -qa ' 9[0-9]% .*left' "$work/now"; then grep -a '% .*left' "$work/now" | tail -1 >"$work/bar"; fi
	sleep 0.2
done
look >"$work/end"
{
	printf '\033[1m$ vicreg pretrain\033[0m\n'
	awk -v bar="$(cat "$work/bar")" '!told && /^$/ { print bar; told = 1 } { print }' "$work/end" | sed -e :a -e '/^\n*$/{$d;N;ba' -e '}'
} >"$work/all"

# Each run of characters of one colour is drawn where its first column is.
LC_ALL=C awk '
function width(s) { gsub(/[\200-\277]/, "", s); return length(s) }
function put(s) {
	if (s ~ /[^ ]/) {
		shown = s; gsub(/[\\"]/, "\\\\&", shown)
		printf "fill %s font DejaVu-Sans-Mono%s text %.2f,%.2f \"%s\"\n", colour, bold ? "-Bold" : "", 40 + at * 16.86, 26 + NR * 40, shown
	}
	at += width(s)
}
BEGIN { split("#ff7b72 #7ee787 #e3b341", colours, " ") }
{
	line = $0; at = 0; colour = "\"#d0d0d8\""; bold = 0
	while (match(line, /\033\[[0-9;]*m/)) {
		put(substr(line, 1, RSTART - 1))
		n = split(substr(line, RSTART + 2, RLENGTH - 3), codes, ";")
		line = substr(line, RSTART + RLENGTH)
		if (n == 0) codes[n = 1] = 0
		for (i = 1; i <= n; i++) {
			c = codes[i] + 0
			if (c == 0) { colour = "\"#d0d0d8\""; bold = 0 }
			else if (c == 1) { bold = 1 }
			else if (c >= 31 && c <= 33) { colour = "\"" colours[c - 30] "\"" }
			else if (c == 39) { colour = "\"#d0d0d8\"" }
		}
	}
	put(line)
}' "$work/all" >"$work/text.mvg"
rows=$(wc -l <"$work/all")
convert -size "2790x$((rows * 40 + 64))" "xc:#1a1b20" -font DejaVu-Sans-Mono -pointsize 28 -draw "$(cat "$work/text.mvg")" -colors 32 -type Palette png8:docs/run.png
