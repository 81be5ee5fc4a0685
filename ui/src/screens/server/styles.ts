/** The terminal writes its styles into elements, which our content security policy forbids; here they become sheets, which it allows. */
export class Styles {
  #sheets: CSSStyleSheet[] = [];

  /** Does something that makes such elements, at once. */
  gather(work: () => void): void {
    const make = document.createElement.bind(document);
    document.createElement = ((tag: string, options?: ElementCreationOptions) =>
      tag === "style" ? this.#make(make("template")) : make(tag, options)) as typeof document.createElement;
    try {
      work();
    } finally {
      Reflect.deleteProperty(document, "createElement");
    }
  }

  close(): void {
    document.adoptedStyleSheets = document.adoptedStyleSheets.filter((each) => !this.#sheets.includes(each));
  }

  #make(element: HTMLElement): HTMLElement {
    const sheet = new CSSStyleSheet();
    this.#sheets.push(sheet);
    document.adoptedStyleSheets.push(sheet);
    return Object.defineProperty(element, "textContent", { set: (css: string) => sheet.replaceSync(css) });
  }
}

/** It writes a character's own colours into an attribute, which the policy forbids, too; the same as properties is allowed. */
HTMLSpanElement.prototype.setAttribute = function (name: string, value: string): void {
  if (name === "style") this.style.cssText = value;
  else Element.prototype.setAttribute.call(this, name, value);
};
