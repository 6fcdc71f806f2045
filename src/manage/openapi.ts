// GET /openapi.json: what is served, made from the same schemas that validate and serialize.
import type { HttpServer } from '../base/http-server.js';

export function openapiRoute(server: HttpServer): void {
  server.get('/openapi.json', { schema: { hide: true } }, () => server.swagger());
}
