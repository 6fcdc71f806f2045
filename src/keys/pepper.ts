// The server-side secret under which keys are hashed: without it, hashes stolen from Redis say nothing.
// It comes from the configuration or lives in a file of the data folder, made once, readable by its owner only.
import { createHmac } from 'node:crypto';
import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { codeOf, OperatorError } from '../base/fault.js';
import { systemRandom } from '../base/ids.js';

const MIN_CHARACTERS = 32;

/** The pepper in `file`, made when there is none. Two processes that start at once end with the same one. */
export function loadPepper(file: string): string {
  try {
    return readPepper(file);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw fileFault(file, error);
  }
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const draft = `${file}.${process.pid}`;
  writeFileSync(draft, `${systemRandom(32).toString('base64url')}\n`, { mode: 0o600 });
  try {
    linkSync(draft, file);
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw fileFault(file, error);
  } finally {
    rmSync(draft, { force: true });
  }
  return readPepper(file);
}

function fileFault(file: string, error: unknown): OperatorError {
  return error instanceof OperatorError
    ? error
    : new OperatorError(`keys.pepper: cannot use ${file} (${codeOf(error)})`);
}

function readPepper(file: string): string {
  const pepper = readFileSync(file, 'utf8').trim();
  if (pepper.length < MIN_CHARACTERS) {
    throw new OperatorError(
      `${file} holds no pepper of at least ${MIN_CHARACTERS} characters; restore it from a backup`,
    );
  }
  return pepper;
}

/** HMAC-SHA-256 of a key under the pepper, base64url (43 characters). */
export function hashKey(pepper: string, text: string): string {
  return createHmac('sha256', pepper).update(text).digest('base64url');
}

/** Says which pepper it is without saying the pepper. */
export const pepperMark = (pepper: string): string => hashKey(pepper, 'postern pepper mark').slice(0, 22);
