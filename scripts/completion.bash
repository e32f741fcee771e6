# shellcheck shell=bash
# Completion for halfkey and halfkey-endpoint: commands, their actions and long options, taken
# from what the programs themselves print with --help, so that nothing stands here twice. What is
# none of these is a file.
_halfkey() {
	local program=${COMP_WORDS[0]} word=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]:-} help words=
	COMPREPLY=()
	if [ "$COMP_CWORD" -eq 1 ]; then
		words=$("$program" --help 2>/dev/null | sed -n 's/^  \([a-z][a-z-]*\)  .*/\1/p')
	else
		help=$("$program" "$command" --help 2>/dev/null) || return
		case $word in
		-*) words=$(grep -oE -- '--[a-z][a-z-]+' <<<"$help") ;;
		*)
			[ "$COMP_CWORD" -eq 2 ] &&
				words=$(sed -nE "s/^([Uu]sage:)? +${program##*/} $command ([a-z][a-z-]+).*/\2/p" <<<"$help")
			;;
		esac
	fi
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word" | sort -u)
}
complete -o default -F _halfkey halfkey halfkey-endpoint
