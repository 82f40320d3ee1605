import type { Agent, Contact, Conversation, Inbox, Member, SessionInfo, Status, TimelineEvent } from '../model';

/** A problem document (RFC 9457) as an error; `status` 0 means that no answer came. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    detail: string,
    /** Seconds to wait, where the server names them. */
    readonly retryAfter: number | null = null,
  ) {
    super(detail);
  }
}

export interface ConversationQuery {
  status?: Status;
  assignee?: string;
  q?: string;
  cursor?: string;
  limit?: number;
}

export interface EventsQuery {
  before?: number;
  after?: number;
  limit?: number;
}

export interface EventsPage {
  epoch: string;
  events: TimelineEvent[];
  more: boolean;
}

export interface ConversationsPage {
  conversations: Conversation[];
  cursor: string | null;
}

const ROOT = '/api/v1';
const DEADLINE_MS = 20_000;

function search(query: object): string {
  const pairs = Object.entries(query).filter(([, value]) => value !== undefined && value !== '');
  return pairs.length ? `?${new URLSearchParams(pairs.map(([key, value]) => [key, String(value)]))}` : '';
}

async function problem(response: Response): Promise<ApiError> {
  const retry = Number(response.headers.get('retry-after'));
  const body = (await response.json().catch(() => ({}))) as { code?: string; detail?: string; title?: string };
  const detail = body.detail ?? body.title ?? response.statusText;
  return new ApiError(response.status, body.code ?? 'internal', detail, retry > 0 ? retry : null);
}

async function call<T>(method: string, path: string, token: string | null, body?: unknown): Promise<T> {
  const headers: Record<string, string> = { accept: 'application/json' };
  if (token) headers.authorization = `Bearer ${token}`;
  if (body !== undefined) headers['content-type'] = 'application/json';
  const init: RequestInit = { method, headers, signal: AbortSignal.timeout(DEADLINE_MS), cache: 'no-store' };
  if (body !== undefined) init.body = JSON.stringify(body);
  const response = await fetch(ROOT + path, init).catch(() => {
    throw new ApiError(0, 'network', 'no answer');
  });
  if (!response.ok) throw await problem(response);
  return (response.status === 204 ? undefined : await response.json()) as T;
}

export function login(email: string, password: string): Promise<{ token: string; agent: Agent }> {
  return call('POST', '/auth/login', null, { email, password });
}

export type Api = ReturnType<typeof createApi>;

/** The REST calls of the console for one signed-in agent; `heard` is told of each answer that is one. */
export function createApi(token: string, heard: { unauthorized: () => void; answered: () => void }) {
  const request = async <T>(method: string, path: string, body?: unknown): Promise<T> => {
    try {
      const answer = await call<T>(method, path, token, body);
      heard.answered();
      return answer;
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) heard.unauthorized();
      throw error;
    }
  };
  const get = <T>(path: string) => request<T>('GET', path);
  return {
    me: () => get<{ agent: Agent }>('/me'),
    agents: () => get<{ agents: Member[] }>('/agents'),
    addAgent: (draft: { name: string; email: string; role: 'agent' | 'admin' }) => request<Member & { password: string }>('POST', '/agents', draft),
    changeAgent: (id: string, change: { disabled?: boolean; role?: 'agent' | 'admin' }) => request<Member>('PATCH', `/agents/${id}`, change),
    resetPassword: (id: string) => request<{ password: string }>('POST', `/agents/${id}/password`),
    changePassword: (old: string, fresh: string) => request<void>('POST', '/me/password', { old, new: fresh }),
    inboxes: () => get<{ inboxes: Inbox[] }>('/inboxes'),
    sessions: () => get<{ sessions: SessionInfo[] }>('/auth/sessions'),
    endSession: (id: string) => request<void>('DELETE', `/auth/sessions/${id}`),
    logout: () => request<void>('POST', '/auth/logout'),
    conversations: (query: ConversationQuery) => get<ConversationsPage>(`/conversations${search(query)}`),
    conversation: (id: string) => get<Conversation>(`/conversations/${id}`),
    events: (id: string, query: EventsQuery) => get<EventsPage>(`/conversations/${id}/events${search(query)}`),
    contact: (id: string) => get<Contact>(`/contacts/${id}`),
    contactConversations: (id: string) => get<ConversationsPage>(`/contacts/${id}/conversations`),
    assign: (id: string, agent: string | null) => request<Conversation>('POST', `/conversations/${id}/assign`, { agent }),
    setStatus: (id: string, status: Status, until?: number) => request<Conversation>('POST', `/conversations/${id}/status`, { status, until }),
  };
}
