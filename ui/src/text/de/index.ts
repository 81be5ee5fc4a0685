import type { Texts } from "../en";
import { shell } from "./shell";
import { servers } from "./servers";
import { server } from "./server";

export const de: Texts = { ...shell, ...servers, ...server };
