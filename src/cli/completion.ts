/** Words that may come next on a command line, and the scripts that tell them to a shell. */
import { Argument, type Command } from 'commander';
import type { CliContext } from './context.ts';

const SHELLS = ['bash', 'zsh', 'fish'] as const;

const SCRIPTS: Readonly<Record<(typeof SHELLS)[number], string>> = {
  bash: `_alluxio_fuse() {
  local IFS=$'\\n'
  COMPREPLY=($(compgen -W "$(alluxio-fuse complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _alluxio_fuse alluxio-fuse`,
  zsh: `#compdef alluxio-fuse
_alluxio_fuse() {
  local -a found
  found=(\${(f)"$(alluxio-fuse complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)"})
  if (( $#found )); then compadd -a found; else _files; fi
}
compdef _alluxio_fuse alluxio-fuse
# Found in $fpath, all of this is the function, and run for the first word that is completed.
if [[ \${zsh_eval_context[-1]} == loadautofunc ]]; then _alluxio_fuse "$@"; fi`,
  fish: `complete -c alluxio-fuse -a '(alluxio-fuse complete -- (commandline -opc)[2..-1] (commandline -ct) 2>/dev/null)'`,
};

const HELP = `
For this shell:  source <(alluxio-fuse completion bash)
For good:        alluxio-fuse completion bash >/etc/bash_completion.d/alluxio-fuse
                 alluxio-fuse completion zsh >"\${fpath[1]}/_alluxio-fuse"
                 alluxio-fuse completion fish >~/.config/fish/completions/alluxio-fuse.fish`;

export function addCompletionCommands(program: Command, context: CliContext): void {
  program
    .command('completion')
    .summary('print what lets a shell complete commands and flags')
    .addArgument(new Argument('<shell>').choices(SHELLS))
    .addHelpText('after', HELP)
    .action((shell: (typeof SHELLS)[number]) => context.out(SCRIPTS[shell]));
  program
    .command('complete', { hidden: true })
    .argument('[words...]')
    .action((words: string[]) => {
      const found = candidates(program, words);
      if (found.length > 0) context.out(found.join('\n'));
    });
}

/** Of options of the table, whose placeholders say them: `<ring|node>`, `<auto|NUMBER>`. */
function choicesIn(flags: string): string[] {
  const [, placeholder = ''] = /<(.*)>/.exec(flags) ?? [];
  const words = placeholder.split('|');
  return words.length < 2 ? [] : words.filter((word) => /^[a-z-]+$/.test(word));
}

/** `words`: those behind the program's name; the last is the one being written. None: a file, say. */
export function candidates(program: Command, words: readonly string[]): string[] {
  let command = program;
  let awaitsValue: readonly string[] | undefined;
  // Behind this word there are only operands, which are paths.
  if (words.slice(0, -1).includes('--')) return [];
  for (const word of words.slice(0, -1)) {
    if (awaitsValue !== undefined) {
      awaitsValue = undefined;
      continue;
    }
    const option = command.options.find(({ short, long }) => word === short || word === long);
    if (option !== undefined && (option.required || option.optional)) {
      awaitsValue = option.argChoices ?? choicesIn(option.flags);
    }
    const below = command.commands.find((one) => [one.name(), ...one.aliases()].includes(word));
    if (below !== undefined) command = below;
  }
  const current = words.at(-1) ?? '';
  const begun = (all: readonly string[]): string[] => all.filter((one) => one.startsWith(current));
  if (awaitsValue !== undefined) return begun(awaitsValue);
  const help = command.createHelp();
  if (current.startsWith('-')) {
    return begun(help.visibleOptions(command).flatMap(({ long }) => long ?? []));
  }
  const { registeredArguments } = command;
  const choices = registeredArguments.flatMap(({ argChoices }) => argChoices ?? []);
  return begun([...help.visibleCommands(command).map((one) => one.name()), ...choices]);
}
