import { CircleSlash, DoorOpen, Wrench } from "@lucide/svelte";
import type { Node } from "../../api/client";

export type Openness = Node["openness"];

export const ICONS = { open: DoorOpen, draining: CircleSlash, maintenance: Wrench } as const;
export const OTHERS: Record<Openness, readonly Openness[]> = {
  open: ["draining", "maintenance"],
  draining: ["open", "maintenance"],
  maintenance: ["open", "draining"],
};
