// A next hop as `relay.url` names it: smtp://user:password@host:port?tls=required&name=ehlo.example.com.
import { hostPort } from '../base/address.js';

/**
 * required: STARTTLS and a certificate that checks, or nothing is sent; opportunistic: TLS where it is offered, and
 * then with a certificate that checks; insecure: as required, without checking the certificate; none: no TLS.
 */
export type TlsMode = 'required' | 'opportunistic' | 'insecure' | 'none';

export interface NextHop {
  /** `host:port`, for logs and reports. */
  label: string;
  host: string;
  port: number;
  /** TLS from the first octet (smtps). */
  implicitTls: boolean;
  tls: TlsMode;
  login: { user: string; pass: string } | undefined;
  /** Our name in EHLO; undefined = the configured hostname. */
  name: string | undefined;
}

/** @param text a URL that the configuration has checked. */
export function parseNextHop(text: string): NextHop {
  const url = new URL(text);
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const implicitTls = url.protocol === 'smtps:';
  const port = Number(url.port) || (implicitTls ? 465 : 25);
  const login = loginOf(url);
  const label = hostPort(host, port);
  const tls = (url.searchParams.get('tls') ?? (login ? 'required' : 'opportunistic')) as TlsMode;
  return { label, host, port, implicitTls, tls, login, name: url.searchParams.get('name') ?? undefined };
}

function loginOf(url: URL): NextHop['login'] {
  if (!url.username) return undefined;
  return { user: decodeURIComponent(url.username), pass: decodeURIComponent(url.password) };
}
