// May this principal send this? The checks that need no I/O, each for the earliest stage that can know. Both doors
// call the same functions, and the funnel calls them again for the whole message.
import type { Principal } from '../authenticate/principal.js';
import type { Address } from '../message/address.js';
import { refuse, type Refusal } from '../message/refusal.js';
import { fromAddresses } from './from-header.js';

/** Whether an address is one of those that a restriction lists; `keys` knows how lists match. */
export type AddressMatcher = (allowed: readonly string[], local: string, domain: string) => boolean;

export class Policy {
  constructor(
    private readonly matches: AddressMatcher,
    private readonly limits: { maxMessageBytes: number; maxRecipients: number },
  ) {}

  /** A key that requires TLS, on a connection that has none. */
  connection(principal: Principal, secure: boolean): Refusal | undefined {
    return principal.restrictions.require_tls && !secure ? refuse('tls-required') : undefined;
  }

  /** @param address MAIL FROM, undefined for the null sender: a key that is bound to senders may not hide its own. */
  sender(principal: Principal, address: Address | undefined): Refusal | undefined {
    const allowed = principal.restrictions.from;
    if (!allowed || (address && this.matches(allowed, address.local, address.domain))) return undefined;
    return refuse('sender-not-allowed', { address: address?.text ?? '<>' });
  }

  recipient(principal: Principal, address: Address): Refusal | undefined {
    const allowed = principal.restrictions.to;
    if (!allowed || this.matches(allowed, address.local, address.domain)) return undefined;
    return refuse('recipient-not-allowed', { address: address.text });
  }

  /** The values of all From fields; a message without one has only its envelope sender. */
  fromFields(principal: Principal, values: string[]): Refusal | undefined {
    if (!principal.restrictions.from) return undefined;
    for (const value of values) {
      const addresses = fromAddresses(value);
      if (!addresses) return refuse('sender-not-allowed', { address: 'a From field that cannot be read' });
      const refusal = addresses.map((address) => this.sender(principal, address)).find(Boolean);
      if (refusal) return refusal;
    }
    return undefined;
  }

  /** @param size octets of the message, or what the client says of them (RFC 1870). */
  size(principal: Principal, size: number): Refusal | undefined {
    const limit = this.maxBytes(principal);
    return size > limit ? refuse('too-big', { limit }) : undefined;
  }

  /** @param count recipients of the message, this one among them. */
  recipientCount(principal: Principal, count: number): Refusal | undefined {
    const limit = Math.min(this.limits.maxRecipients, principal.restrictions.max_recipients ?? Infinity);
    return count > limit ? refuse('too-many-recipients', { limit }) : undefined;
  }

  maxBytes(principal: Principal): number {
    return Math.min(this.limits.maxMessageBytes, principal.restrictions.max_bytes ?? Infinity);
  }
}
