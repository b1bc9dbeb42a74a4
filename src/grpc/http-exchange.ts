// A request over HTTP/2 that is not gRPC: the whole body, then the answer, whole or in pieces.

import { grpcStatus, utf8 } from "../base/index.ts";
import { Call } from "./call.ts";
import type { HttpAnswer, HttpReply, HttpRequest, HttpSink } from "./contract.ts";
import { rpcErrorFrom } from "./handler-error.ts";
import { headerValue } from "./request-head.ts";

const noBody = new Uint8Array(0);

export class HttpExchange extends Call {
  #body: Uint8Array[] = [];
  #bodyBytes = 0;
  #onDrain: (() => void) | undefined;

  open(): void {}

  protected input(bytes: Uint8Array, start: number, end: number): void {
    if (this.#bodyBytes + end - start > this.owner.messageBytesMax) {
      this.#answer({ status: 413, headers: [], body: noBody });
      return;
    }
    // A copy, so that one byte of body does not keep a whole chunk of the connection.
    this.#body.push(Uint8Array.prototype.slice.call(bytes, start, end));
    this.#bodyBytes += end - start;
    this.owner.assembling(end - start);
    this.owner.consumed(this, end - start);
  }

  protected dropInput(): void {
    this.owner.assembling(-this.#bodyBytes);
    this.#body = [];
    this.#bodyBytes = 0;
  }

  protected inputEnded(): void {
    const { answerHttp } = this.owner;
    if (answerHttp === undefined) {
      this.#answer({ status: 404, headers: [], body: noBody });
      return;
    }
    this.handlerPending = true;
    try {
      const result = answerHttp(this.#request());
      if (result instanceof Promise) {
        result.then(
          (reply) => this.#settled(reply),
          (error) => this.#failed(error),
        );
      } else {
        this.#settled(result);
      }
    } catch (error) {
      this.#failed(error);
    }
  }

  #request(): HttpRequest {
    const { head } = this;
    return {
      method: head.method,
      path: head.path,
      authority: head.authority,
      header: (name) => headerValue(head, name),
      body: Buffer.concat(this.#body),
      peer: this.peer,
      onClosed: (callback) => this.onCancel(callback),
    };
  }

  #settled(answer: HttpAnswer): void {
    if ("stream" in answer) {
      if (!this.ended) {
        answer.stream(this.#sink());
      }
    } else {
      this.#answer(answer);
    }
    this.handlerSettled();
  }

  override onQueueDrained(): void {
    this.#onDrain?.();
  }

  #sink(): HttpSink {
    const queued = (): number => this.partsBytes;
    const { sender } = this.owner;
    return {
      start: (status, headers) => {
        if (!this.ended) {
          sender.httpHead(this, status, headers, false);
        }
      },
      write: (text) => {
        if (this.ended) {
          return true;
        }
        if (this.owner.overfull) {
          this.refuseOverfull();
          return true;
        }
        return sender.httpBody(this, utf8(text), false);
      },
      end: () => {
        if (!this.ended) {
          this.finish(grpcStatus.ok);
          sender.httpBody(this, noBody, true);
        }
      },
      replyInstead: (reply) => this.#answer(reply),
      onDrain: (callback) => {
        this.#onDrain = callback;
      },
      get queuedBytes() {
        return queued();
      },
    };
  }

  #failed(error: unknown): void {
    rpcErrorFrom(error);
    this.#settled({ status: 500, headers: [], body: noBody });
  }

  #answer(reply: HttpReply): void {
    if (!this.ended) {
      this.finish(grpcStatus.ok);
      const length = ["content-length", String(reply.body.length)] as const;
      // The answer to HEAD has the length of the body that GET would get, but no body.
      const body = this.head.method === "HEAD" ? noBody : reply.body;
      const { sender } = this.owner;
      sender.httpHead(this, reply.status, [...reply.headers, length], body.length === 0);
      if (body.length > 0) {
        sender.httpBody(this, body, true);
      }
    }
  }
}
