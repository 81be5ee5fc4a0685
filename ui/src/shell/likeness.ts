const BEGINS = 4;
const INSIDE = 2;
const SCATTERED = 1;

/** As it is compared: without capitals and accents. */
export function plain(text: string): string {
  return text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
}

/** How well a text answers what is wanted, both of them plain; 0 where a word of it is not found at all. */
export function likeness(wanted: string, text: string): number {
  let sum = 0;
  for (const word of wanted.split(/\s+/).filter(Boolean)) {
    const found = ofWord(word, text);
    if (found === 0) return 0;
    sum += found;
  }
  return sum;
}

/** A word is found where another begins with it, else inside one, else by its letters in turn from a word's beginning on: `mcsv` finds Minecraft Survival. */
function ofWord(word: string, text: string): number {
  const words = text.split(/[^\p{L}\p{N}]+/u);
  if (words.some((each) => each.startsWith(word)) || text.startsWith(word)) return BEGINS;
  if (text.includes(word)) return INSIDE;
  return words.some((_, first) => isScattered(word, words.slice(first).join(""))) ? SCATTERED : 0;
}

function isScattered(word: string, text: string): boolean {
  if (text[0] !== word[0]) return false;
  let place = 0;
  for (const letter of word) {
    place = text.indexOf(letter, place) + 1;
    if (place === 0) return false;
  }
  return true;
}
