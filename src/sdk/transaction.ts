// Conditional transactions: conditions, what is done when all hold, what is done otherwise.

import type { CallOptions, Client } from "../client/index.ts";
import { RequestOp, TxnRequest, type TxnResponse } from "../wire/index.ts";
import type { Condition, Operation } from "./operations.ts";

type AnyOperation = Operation<unknown>;

/** The results of a list of operations, each in its place. */
export type ResultsOf<Operations extends readonly AnyOperation[]> = {
  -readonly [Index in keyof Operations]: Operations[Index] extends Operation<infer Result>
    ? Result
    : never;
};

/** What became of a transaction. `succeeded`: all conditions held, and `do` was done. */
export type TransactionResult<
  Done extends readonly AnyOperation[],
  Otherwise extends readonly AnyOperation[],
> =
  | { readonly succeeded: true; readonly revision: number; readonly results: ResultsOf<Done> }
  | {
      readonly succeeded: false;
      readonly revision: number;
      readonly results: ResultsOf<Otherwise>;
    };

/**
 * A transaction, put together step by step and sent by `commit`. It may be committed more than
 * once, and it is an operation itself: it may stand in another transaction.
 *
 * The branch that is done is called `do`, not `then`: an object with a method `then` is taken for a
 * promise wherever one is awaited or returned from an async function.
 */
export class Transaction<
  Done extends readonly AnyOperation[] = [],
  Otherwise extends readonly AnyOperation[] = [],
> implements Operation<TransactionResult<Done, Otherwise>>
{
  readonly #client: Client;
  readonly #conditions: readonly Condition[];
  readonly #done: readonly AnyOperation[];
  readonly #otherwise: readonly AnyOperation[];

  /** Made by `Quorate.txn`. */
  constructor(
    client: Client,
    conditions: readonly Condition[] = [],
    done: readonly AnyOperation[] = [],
    otherwise: readonly AnyOperation[] = [],
  ) {
    this.#client = client;
    this.#conditions = conditions;
    this.#done = done;
    this.#otherwise = otherwise;
  }

  /** All of these, and those given before, must hold. */
  if(...conditions: readonly Condition[]): Transaction<Done, Otherwise> {
    const all = [...this.#conditions, ...conditions];
    return new Transaction(this.#client, all, this.#done, this.#otherwise);
  }

  /** What is done when all conditions hold, instead of what was given before. */
  do<const Operations extends readonly AnyOperation[]>(
    ...operations: Operations
  ): Transaction<Operations, Otherwise> {
    return new Transaction(this.#client, this.#conditions, operations, this.#otherwise);
  }

  /** What is done when one does not, instead of what was given before. */
  else<const Operations extends readonly AnyOperation[]>(
    ...operations: Operations
  ): Transaction<Done, Operations> {
    return new Transaction(this.#client, this.#conditions, this.#done, operations);
  }

  /**
   * Does it, all at one revision. Rejects with ClientError (`uncertain` when it may have been done
   * all the same) or InvalidValueError.
   */
  async commit(options: CallOptions = {}): Promise<TransactionResult<Done, Otherwise>> {
    const reply = await this.#client.txn(await this.#request(), options);
    return await this.#result(reply, reply.header?.revision ?? 0);
  }

  async request(): Promise<RequestOp> {
    const value = await this.#request();
    return RequestOp.create({ request: { kind: "requestTxn", value } });
  }

  async result(
    response: Parameters<AnyOperation["result"]>[0],
    revision: number,
  ): Promise<TransactionResult<Done, Otherwise>> {
    const reply = response?.response?.kind === "responseTxn" ? response.response.value : undefined;
    if (reply === undefined) {
      throw new TypeError("the reply is not a transaction's");
    }
    return await this.#result(reply, revision);
  }

  async #request(): Promise<TxnRequest> {
    const [compare, success, failure] = await Promise.all([
      Promise.all(this.#conditions.map(async (condition) => condition.compare())),
      Promise.all(this.#done.map(async (operation) => operation.request())),
      Promise.all(this.#otherwise.map(async (operation) => operation.request())),
    ]);
    return TxnRequest.create({ compare, success, failure });
  }

  async #result(reply: TxnResponse, revision: number): Promise<TransactionResult<Done, Otherwise>> {
    const operations = reply.succeeded ? this.#done : this.#otherwise;
    const results = await Promise.all(
      operations.map(async (operation, index) =>
        operation.result(reply.responses[index], revision),
      ),
    );
    return { succeeded: reply.succeeded, revision, results } as TransactionResult<Done, Otherwise>;
  }
}
