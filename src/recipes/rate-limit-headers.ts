// A middleware for HTTP servers (Express, Connect, node:http) that counts requests with a
// RateLimiter and tells clients where they stand, by the fields of the IETF's draft
// draft-ietf-httpapi-ratelimit-headers-10, "RateLimit header fields for HTTP":
//
//   RateLimit-Policy: "default";q=100;w=60
//   RateLimit: "default";r=50;t=30
//
// and, in a refusal (429 Too Many Requests), Retry-After of RFC 9110.
//
//   app.use(rateLimit(limiter, { key: (request) => request.ip }));

import type { IncomingMessage, ServerResponse } from "node:http";
import type { RateLimiter } from "./rate-limiter.ts";

export interface RateLimitOptions<Request> {
  /** Whose units a request takes: an address, a user. undefined lets it pass uncounted. */
  readonly key: (request: Request) => string | undefined;
  /** Units that a request takes; 1 unless told. */
  readonly units?: ((request: Request) => number) | undefined;
  /** The policy's name in the fields; "default" unless told. */
  readonly policy?: string | undefined;
  /** Milliseconds after which an unanswered question becomes an error; 2,000 unless told. */
  readonly patienceMs?: number | undefined;
}

/** Connect's shape. An error of the store goes to `next`: letting pass or not is the caller's. */
export type Middleware<Request> = (
  request: Request,
  response: ServerResponse,
  next: (error?: unknown) => void,
) => void;

const patienceMsDefault = 2_000;
const tooManyRequests = 429;

/** Throws RangeError for a policy name that is not printable ASCII. */
export function rateLimit<Request extends IncomingMessage>(
  limiter: RateLimiter,
  options: RateLimitOptions<Request>,
): Middleware<Request> {
  const { policy = "default", units = () => 1, patienceMs = patienceMsDefault } = options;
  if (!/^[\x20-\x7e]*$/.test(policy)) {
    throw new RangeError("a policy's name is of printable ASCII characters");
  }
  // A string of Structured Fields (RFC 9651, section 3.3.3).
  const name = `"${policy.replace(/["\\]/g, "\\$&")}"`;
  const { limit, windowSeconds } = limiter;
  const count = async (request: Request, response: ServerResponse): Promise<boolean> => {
    const key = options.key(request);
    if (key === undefined) {
      return true;
    }
    const signal = AbortSignal.timeout(patienceMs);
    const answer = await limiter.take(key, { units: units(request), signal });
    response.setHeader("RateLimit-Policy", `${name};q=${limit};w=${windowSeconds}`);
    response.setHeader("RateLimit", `${name};r=${answer.remaining};t=${answer.resetSeconds}`);
    if (!answer.allowed) {
      response.statusCode = tooManyRequests;
      response.setHeader("Retry-After", String(answer.resetSeconds));
      response.setHeader("Content-Type", "text/plain; charset=utf-8");
      response.end(`Too many requests; try again in ${answer.resetSeconds} s.\n`);
    }
    return answer.allowed;
  };
  return (request, response, next) => {
    count(request, response).then(
      (allowed) => {
        if (allowed) {
          next();
        }
      },
      (error: unknown) => next(error),
    );
  };
}
