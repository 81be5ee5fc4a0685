import { MediaQuery } from "svelte/reactivity";
import { appearance } from "../state/theme.svelte";

const dark = new MediaQuery("(prefers-color-scheme: dark)");

/** Another word each time that all colours are others. */
export function shade(): string {
  return `${appearance.theme} ${dark.current}`;
}

/** A colour as the style sheets have it by now, such as a canvas can paint with. `element` is on the page, and shows nothing. */
export function painted(element: HTMLElement, colour: string): string {
  element.style.color = colour;
  return getComputedStyle(element).color;
}
