export { colourIndex, initials } from './avatar';
export { createTranslate, pickLocale } from './i18n';
export type { Dictionary, Params, Text, Translate } from './i18n';
export { linkify, safeUrl } from './text';
export type { Segment } from './text';
export { createTimeWriter, startOfDay } from './time';
export type { TimeWriter } from './time';
