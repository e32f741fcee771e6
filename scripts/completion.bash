# shellcheck shell=bash
# Completion for halfkey and halfkey-endpoint: commands, their actions and long options, taken
# from what the programs themselves print with --help, so that nothing stands here twice. What is
# none of these is a file.
_halfkey() {
	local program=${COMP_WORDS[0]} word=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]:-} help actions words=
	COMPREPLY=()
	if [ "$COMP_CWORD" -eq 1 ]; then
		words=$("$program" --help 2>/dev/null | sed -n 's/^  \([a-z][a-z-]*\)  .*/\1/p')
	else
		help=$("$program" "$command" --help 2>/dev/null) || return
		actions=$(sed -nE "s/^([Uu]sage:)? +${program##*/} $command ([a-z][a-z-]+).*/\2/p" <<<"$help")
		case $word in
		-*)
			# An action may have options of its own, as `halfkey keys pull`.
			if [ "$COMP_CWORD" -gt 2 ] && grep -qxF -- "${COMP_WORDS[2]}" <<<"$actions"; then
				help=$("$program" "$command" "${COMP_WORDS[2]}" --help 2>/dev/null) || return
			fi
			words=$(grep -oE -- '--[a-z][a-z-]+' <<<"$help")
			;;
		*) [ "$COMP_CWORD" -eq 2 ] && words=$actions ;;
		esac
	fi
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word" | sort -u)
}
complete -o default -F _halfkey halfkey halfkey-endpoint
