export type * from './frames';
export type * from './types';
export type { EventsPage } from './timelines';
export { browser, Client, type Platform } from './client';
export { Api, Problem, Unauthorized, apiBase, type PageOptions } from './rest';
export { Thread, type Mark, type MessageItem, type ThreadItem } from './thread';
export { LiveThread, type History } from './live-thread';
