import { Api, Problem, Unauthorized, type Visit } from '@unique-cs/client';

export const API = '/api/v1';

/** The visitor's token: kept by the browser, so that the same person is the same contact next time. */
export class Visitor {
  visit: Visit | undefined;
  readonly #key: string;
  #identityToken: string | undefined;
  #memory: string | null = null;

  readonly #inbox: string;
  readonly #locale: string;

  constructor(
    inbox: string,
    locale: string,
  ) {
    this.#inbox = inbox;
    this.#locale = locale;
    this.#key = `unique-cs:token:${inbox}`;
  }

  /** Null: this browser has never been here. */
  get current(): string | null {
    return this.#stored();
  }

  /** Another tab changed the token: the visitor may be another contact now. */
  onChange(changed: () => void): void {
    addEventListener('storage', ({ key }) => key === this.#key && changed());
  }

  /** The stored token, or a new one if there is none or it was `refused`. Throws `Unauthorized` when the inbox does not want us. */
  async token(refused?: string): Promise<string> {
    const stored = this.#stored();
    if (stored !== null && stored !== refused) return stored;
    return this.#renew(null);
  }

  /** Signs in with the site's own token. An anonymous contact becomes that subject, unless the subject has one already. */
  async identify(identityToken: string): Promise<void> {
    this.#identityToken = identityToken;
    await this.#renew(this.#stored());
  }

  async #renew(old: string | null): Promise<string> {
    const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
    const body = {
      inbox: this.#inbox,
      identity_token: this.#identityToken,
      visit: { ...(this.visit ?? { url: location.href, title: document.title, referrer: document.referrer }), language: this.#locale, time_zone: zone },
    };
    try {
      const { token } = await new Api(API, () => old).request<{ token: string }>('POST', '/contacts/session', body);
      this.#store(token);
      return token;
    } catch (error) {
      if (error instanceof Problem && error.status === 401 && old !== null) return this.#renew(null);
      if (error instanceof Problem && [400, 401, 403, 404, 422].includes(error.status)) throw new Unauthorized(error.message);
      throw error;
    }
  }

  #stored(): string | null {
    try {
      return localStorage.getItem(this.#key) ?? this.#memory;
    } catch {
      return this.#memory;
    }
  }

  #store(token: string): void {
    this.#memory = token;
    try {
      localStorage.setItem(this.#key, token);
    } catch {
      // Storage is refused: the token lives as long as the page.
    }
  }
}
