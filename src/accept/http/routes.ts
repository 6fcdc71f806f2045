// The calls about sending. Those that take mail are one plugin: bodies are left to the routes, which read them when the key is known, and
// whatever is thrown on the way becomes an answer in SendGrid's shape.
import type { HttpGate } from '../../authenticate/bearer.js';
import type { HttpServer } from '../../base/http-server.js';
import type { HttpDoor } from './door.js';
import { mailSendRoute } from './mail-send.js';
import { answerFault } from './refused.js';
import { scheduledSendRoutes } from './scheduled-sends.js';
import { webSendRoutes } from './web-send.js';

export function sendingRoutes(server: HttpServer, gate: HttpGate, door: HttpDoor): void {
  scheduledSendRoutes(server, gate, door);
  void server.register((scope: HttpServer, _options, done) => {
    scope.removeAllContentTypeParsers();
    // The body of a request is its octets, still to be read.
    scope.addContentTypeParser('*', (_request, payload, parsed) => parsed(null, payload));
    // The schemas are for /openapi.json; the routes check, with words of their own.
    scope.setValidatorCompiler(() => () => true);
    scope.setErrorHandler((error, request, reply) => answerFault(door, error, request, reply));
    mailSendRoute(scope, gate, door);
    webSendRoutes(scope, gate, door);
    done();
  });
}
