// What a shell is to run: each script asks `quoratectl completion candidates -- WORD...` for the
// candidates of the last word, a line each: the word, a tab, what it is. A first line ":files" asks
// the shell for file names. After a word that ends with "/" or "=" no space is put.

const bash = `# bash completion of quoratectl; in ~/.bashrc: source <(quoratectl completion bash)
_quoratectl() {
  local line words current lines candidate trim
  line="\${COMP_LINE:0:COMP_POINT}"
  read -ra words <<<"$line"
  current=""
  [[ "$line" == *[[:space:]] ]] || { current="\${words[-1]}"; unset 'words[-1]'; }
  words+=("$current")
  mapfile -t lines < <("\${words[0]}" completion candidates -- "\${words[@]:1}" 2>/dev/null)
  COMPREPLY=()
  if [[ "\${lines[0]}" == ":files" ]]; then
    compopt -o default
    return
  fi
  # bash splits words at = and :, and replaces only what is behind the last of these.
  trim="\${current%"\${current##*[=:]}"}"
  for candidate in "\${lines[@]}"; do
    candidate="\${candidate%%$'\\t'*}"
    COMPREPLY+=("$(printf '%q' "\${candidate#"$trim"}")")
  done
  [[ "\${#COMPREPLY[@]}" -gt 0 && "\${COMPREPLY[0]}" == *[/=] ]] && compopt -o nospace
}
complete -o nosort -F _quoratectl quoratectl
`;

const zsh = `#compdef quoratectl
# zsh completion of quoratectl; in ~/.zshrc, after compinit: source <(quoratectl completion zsh)
_quoratectl() {
  local -a lines ends opens endDocs openDocs
  local line word
  line="$("\${words[1]}" completion candidates -- "\${(@Q)words[2,CURRENT]}" 2>/dev/null)"
  lines=("\${(@f)line}")
  if [[ "\${lines[1]}" == ":files" ]]; then
    _files
    return
  fi
  for line in "\${lines[@]}"; do
    [[ -n "$line" ]] || continue
    word="\${line%%$'\\t'*}"
    if [[ "$word" == *[/=] ]]; then
      opens+=("$word")
      openDocs+=("\${line//$'\\t'/  -- }")
    else
      ends+=("$word")
      endDocs+=("\${line//$'\\t'/  -- }")
    fi
  done
  compadd -l -d endDocs -a ends
  compadd -l -S '' -d openDocs -a opens
}
compdef _quoratectl quoratectl
`;

const fish = `# fish completion of quoratectl; in config.fish: quoratectl completion fish | source
function __quoratectl_candidates
  set -l words (commandline -opc)
  set -l lines ($words[1] completion candidates -- $words[2..-1] (commandline -ct) 2>/dev/null)
  if test "$lines[1]" = ":files"
    __fish_complete_path (commandline -ct)
  else
    printf '%s\\n' $lines
  end
end
complete -c quoratectl -f -a '(__quoratectl_candidates)'
`;

export const completionScripts: Readonly<Record<string, string>> = { bash, zsh, fish };
