// get --stream: a range of any length, each piece printed before the next is held in memory, all as
// of one revision. The server streams where it can (KV.RangeStream, etcd 3.7); else, and where each
// piece is to be a document of its own, it is asked for pages.

import { grpcStatus } from "../../base/index.ts";
import { ClientError } from "../../client/index.ts";
import { type RangeRequest, RangeRequestSortOrder } from "../../wire/index.ts";
import type { Context } from "./context.ts";
import { CommandError, exitCodes, orFail } from "./failure.ts";
import { readPages } from "./pages.ts";
import type { Printer } from "./printer.ts";

export async function printPieces(
  context: Context,
  request: Partial<RangeRequest>,
  printer: Printer,
): Promise<void> {
  if (request.sortOrder !== RangeRequestSortOrder.NONE) {
    throw new CommandError(
      exitCodes.badArguments,
      "--stream prints in the order of keys: --order and --sort-by cannot be used with it",
    );
  }
  if (context.format === "simple" && (await printStream(context, request, printer))) {
    return;
  }
  for await (const page of readPages(context.client, request)) {
    printer.get(page);
    await context.io.flush();
  }
}

/** False where the server does not know the call; then nothing is printed. */
async function printStream(
  context: Context,
  request: Partial<RangeRequest>,
  printer: Printer,
): Promise<boolean> {
  let printed = false;
  try {
    for await (const piece of context.client.rangeStream(request)) {
      printed = true;
      printer.get(piece);
      await context.io.flush();
    }
    return true;
  } catch (error) {
    if (!printed && error instanceof ClientError && error.status === grpcStatus.unimplemented) {
      return false;
    }
    return orFail(Promise.reject(error));
  }
}
