import { api, Failed, the, type User } from "../api/client";
import { Channel } from "../live/channel.svelte";

/** Who is here. `user` is undefined until that is known, and null for nobody. */
class Session {
  user = $state.raw<User | null | undefined>(undefined);
  hasEnded = $state(false);
  channel = $state.raw<Channel | null>(null);

  async begin(): Promise<void> {
    try {
      this.#enter(await the(api.GET("/api/auth/me")));
    } catch (error) {
      if (!(error instanceof Failed) || error.problem?.status !== 401) throw error;
      this.user = null;
    }
  }

  async signIn(username: string, password: string): Promise<void> {
    this.#enter(await the(api.POST("/api/auth/sessions", { body: { username, password } })));
  }

  async signOut(): Promise<void> {
    await the(api.DELETE("/api/auth/sessions/current"));
    this.#leave();
  }

  #enter(user: User): void {
    this.user = user;
    this.hasEnded = false;
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
