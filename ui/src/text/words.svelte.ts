import { en, type Texts } from "./en";

const KEY = "language";
const CATALOGUES: Record<string, () => Promise<Texts>> = {
  en: async () => en,
  de: async () => (await import("./de")).de,
};

export const LANGUAGES: readonly (readonly [language: string, name: string])[] = [
  ["en", "English"],
  ["de", "Deutsch"],
];

/** The words of the page, in the reader's language. `words.t` follows a change at once. */
class Words {
  language = $state("en");
  t = $state.raw<Texts>(en);

  async begin(): Promise<void> {
    const wanted = [localStorage.getItem(KEY) ?? "", ...navigator.languages.map((each) => each.slice(0, 2))];
    await this.choose(wanted.find((each) => each in CATALOGUES) ?? "en");
  }

  async choose(language: string): Promise<void> {
    this.t = await (CATALOGUES[language] ?? CATALOGUES["en"]!)();
    this.language = language;
    localStorage.setItem(KEY, language);
    document.documentElement.lang = language;
  }
}

export const words = new Words();
