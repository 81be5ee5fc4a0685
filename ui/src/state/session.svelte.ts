import { api, Failed, the, type Node, type Operation, type Server, type User } from "../api/client";
import { Channel } from "../live/channel.svelte";
import { Listing } from "../live/listing.svelte";

export type Permission = User["permissions"][number];

/** All that one may see, each list asked for when it is first looked at, and kept true from then on. */
class Lists {
  readonly #servers: Listing<Server>;
  readonly #nodes: Listing<Node>;
  readonly #operations: Listing<Operation>;

  /** All are made at once: what is made while something is derived would not be followed by just that. */
  constructor(channel: Channel) {
    this.#servers = new Listing(channel, "servers");
    this.#nodes = new Listing(channel, "nodes");
    this.#operations = new Listing(channel, "operations");
  }

  get servers(): Listing<Server> {
    return this.#servers.opened();
  }

  get nodes(): Listing<Node> {
    return this.#nodes.opened();
  }

  get operations(): Listing<Operation> {
    return this.#operations.opened();
  }
}

/** Who is here. `user` is undefined until that is known, and null for nobody. */
class Session {
  user = $state.raw<User | null | undefined>(undefined);
  hasEnded = $state(false);
  /** There are no accounts yet: whoever has the panel's code makes the first. */
  isSetupNeeded = $state(false);
  channel = $state.raw<Channel | null>(null);
  lists = $state.raw<Lists | null>(null);

  async begin(): Promise<void> {
    try {
      this.#enter(await the(api.GET("/api/auth/me")));
    } catch (error) {
      if (!(error instanceof Failed) || error.problem?.status !== 401) throw error;
      this.isSetupNeeded = (await the(api.GET("/api/setup"))).is_needed;
      this.user = null;
    }
  }

  may(permission: Permission): boolean {
    return this.user?.permissions.includes(permission) ?? false;
  }

  async signIn(username: string, password: string): Promise<void> {
    this.#enter(await the(api.POST("/api/auth/sessions", { body: { username, password } })));
  }

  /** Asks again who is here: their name may be another. */
  async refresh(): Promise<void> {
    this.user = await the(api.GET("/api/auth/me"));
  }

  /** Makes the first account, by the code that the panel printed. */
  async setUp(code: string, username: string, password: string): Promise<void> {
    this.#enter(await the(api.POST("/api/setup", { body: { code, username, password } })));
  }

  async signOut(): Promise<void> {
    await the(api.DELETE("/api/auth/sessions/{session_id}", { params: { path: { session_id: "current" } } }));
    this.#leave();
  }

  #enter(user: User): void {
    this.user = user;
    this.hasEnded = false;
    this.isSetupNeeded = false;
    const channel = new Channel({
      onSignedOut: () => {
        this.hasEnded = true;
        this.#leave();
      },
      onRights: (permissions) => this.#become(permissions as Permission[]),
    });
    this.channel = channel;
    this.lists = new Lists(channel);
  }

  /** The panel says what one may do by now: at each connection, and when it changes. */
  #become(permissions: Permission[]): void {
    const user = this.user;
    if (!user || !this.channel || `${user.permissions}` === `${permissions}`) return;
    this.user = { ...user, permissions };
    this.lists = new Lists(this.channel);
  }

  #leave(): void {
    this.channel?.close();
    this.channel = null;
    this.lists = null;
    this.user = null;
  }
}

export const session = new Session();
