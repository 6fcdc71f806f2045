// nodemailer's SMTPConnection with DSN parameters (RFC 3461) for each recipient; the library has one set of them for
// all. It uses private members, which test/deliver guards against an upgrade.
import SMTPConnection from 'nodemailer/lib/smtp-connection';

interface Internals {
  _sendRcpt(this: unknown, recipient: string, callback: unknown): void;
}

const library = SMTPConnection.prototype as unknown as Internals;

export class DsnConnection extends SMTPConnection {
  /** Of the transaction under way: parameters of RCPT by address, with a leading space. */
  rcptArguments: ReadonlyMap<string, string> | undefined;
  #arguments = '';

  /** @internal Called by the library for each recipient. */
  protected _sendRcpt(recipient: string, callback: unknown): void {
    this.#arguments = this.rcptArguments?.get(recipient) ?? '';
    library._sendRcpt.call(this, recipient, callback);
  }

  /** @internal Called by the library for what stands behind the path. */
  protected _getDsnRcptToArgs(): string {
    const { _supportedExtensions: extensions } = this as unknown as { _supportedExtensions: string[] };
    return extensions.includes('DSN') ? this.#arguments : '';
  }
}
