import type { Server } from "./client";

/** Where players find something of a server; `address` is null where the panel knows the port alone. */
export interface Place {
  name: string | null;
  address: string | null;
  port: number;
}

/** Each once, also where it is for both protocols. The first is the game's own. */
export function placesOf(server: Server): Place[] {
  const places = server.ports.map(({ name, external }, at) => ({
    name: name ?? null,
    address: server.addresses[at] ?? null,
    port: external,
  }));
  return [...new Map(places.map((place) => [`${place.name} ${place.address} ${place.port}`, place])).values()];
}
