/** How a node reads a startup command: as `protocol/specification.py` has it. */

const SHELL = /[|&;<>()$`\n*?[\]{}~]/;

/** The program and its arguments; null where a quote is not closed. */
export function argumentsOf(startup: string): string[] | null {
  return SHELL.test(startup) ? ["/bin/sh", "-c", startup] : split(startup);
}

/** Words as a POSIX shell parts them. */
function split(text: string): string[] | null {
  const found: string[] = [];
  let [word, quote, isWord] = ["", "", false];
  for (let at = 0; at < text.length; at++) {
    const character = text[at]!;
    if (quote === "'" ? character === "'" : quote && character === '"') quote = "";
    else if (character === "\\" && quote !== "'") {
      const next = text[++at];
      if (next === undefined) return null;
      word += quote && next !== '"' && next !== "\\" ? `\\${next}` : next;
      isWord = true;
    } else if (quote) word += character;
    else if (character === "'" || character === '"') [quote, isWord] = [character, true];
    else if (/\s/.test(character)) {
      if (isWord) found.push(word);
      [word, isWord] = ["", false];
    } else [word, isWord] = [word + character, true];
  }
  if (quote) return null;
  return isWord ? [...found, word] : found;
}

/** The text with the variables' values in the place of `$NAME` and `${NAME}`, but between single quotes, where a shell leaves them. */
export function filled(text: string, values: Record<string, string>): string {
  let isQuoted = false;
  let isLiteral = false;
  return text.replace(/\\.|'|"|\$(?:(\w+)|\{(\w+)\})/g, (found: string, bare?: string, braced?: string) => {
    if (found === '"') isQuoted = isLiteral ? isQuoted : !isQuoted;
    else if (found === "'") isLiteral = isQuoted ? isLiteral : !isLiteral;
    const name = bare ?? braced;
    return name === undefined || isLiteral ? found : (values[name] ?? found);
  });
}
