import { shell } from "./shell";
import { servers } from "./servers";
import { server } from "./server";

/** Every word of the page, in English: the one that all others are held to. A file for each part of the page. */
export const en = { ...shell, ...servers, ...server };

export type Texts = typeof en;
