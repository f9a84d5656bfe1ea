// Names in many files and messages: one grammar for each.

import { z } from 'zod';

/** Sources of the patterns, for grammars that contain them. */
export const ECU_NAME = '[A-Z][A-Z0-9_]{0,15}';
export const VERSION_TEXT = '[0-9A-Za-z][0-9A-Za-z.+_-]{0,31}';
export const SHA256_HEX = '[0-9a-f]{64}';

const whole = (source: string): RegExp => new RegExp(`^${source}$`);
const ECU = whole(ECU_NAME);
const VERSION = whole(VERSION_TEXT);
const SHA256 = whole(SHA256_HEX);

export const isEcuName = (text: string): boolean => ECU.test(text);
export const isVersionText = (text: string): boolean => VERSION.test(text);
export const isSha256Hex = (text: string): boolean => SHA256.test(text);

/** The name of an ECU in the vehicle file. */
export const ecuName = z
  .string()
  .regex(ECU, 'expected 1 to 16 characters: a capital letter, then A-Z 0-9 _');

/** The version of released software. */
export const versionText = z
  .string()
  .regex(
    VERSION,
    'expected 1 to 32 characters: 0-9 A-Z a-z . + _ -, the first one a letter or digit',
  );

/** A SHA-256 digest of 32 bytes as hexadecimal text. */
export const sha256Hex = z.string().regex(SHA256, 'expected 64 hexadecimal digits in lower case');
