export type * from './frames';
export type * from './types';
