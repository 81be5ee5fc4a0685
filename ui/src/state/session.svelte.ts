import { api, Failed, the, type User } from "../api/client";
import { Channel } from "../live/channel.svelte";

/** Who is here. `user` is undefined until that is known, and null for nobody. */
class Session {
  user = $state.raw<User | null | undefined>(undefined);
  hasEnded = $state(false);
  /** There are no accounts yet: whoever has the panel's code makes the first. */
  isSetupNeeded = $state(false);
  channel = $state.raw<Channel | null>(null);

  async begin(): Promise<void> {
    try {
      this.#enter(await the(api.GET("/api/auth/me")));
    } catch (error) {
      if (!(error instanceof Failed) || error.problem?.status !== 401) throw error;
      this.isSetupNeeded = (await the(api.GET("/api/setup"))).is_needed;
      this.user = null;
    }
  }

  async signIn(username: string, password: string): Promise<void> {
    this.#enter(await the(api.POST("/api/auth/sessions", { body: { username, password } })));
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
    this.channel = new Channel(() => {
      this.hasEnded = true;
      this.#leave();
    });
  }

  #leave(): void {
    this.channel?.close();
    this.channel = null;
    this.user = null;
  }
}

export const session = new Session();
