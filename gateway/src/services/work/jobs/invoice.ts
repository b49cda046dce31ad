/**
 * What a customer is asked to pay for a job (W5, W11), and why: every result that counts, with its fuel and the receipt that its
 * device signed. The document can be checked alone: receipts by the devices' keys, the sum by the lines.
 */

import { hex } from '@azukari/protocol/bytes'
import { encodeDeterministic } from '@azukari/protocol/codec'
import { invoiceDomain } from '@azukari/protocol/contracts/work'
import type { WorkInvoice } from '@azukari/protocol/contracts/work-operators'
import { type DirectSigner, sign1 } from '@azukari/protocol/cose'
import { InternalError } from '@azukari/protocol/problem'
import { sha256 } from '../blobs/store.ts'
import { costOf } from '../dispatch/model.ts'
import type { CopyRow, JobRow } from '../tables.ts'

/** @throws {InternalError} when the lines do not add up to what the job has counted */
export function invoiceOf(job: JobRow, copies: readonly CopyRow[], nowMs: number): WorkInvoice {
  const lines = copies
    .filter(({ charged }) => charged === 1)
    .map(({ unit, attempt, owner, device, fuel, receipt }) => ({
      unit,
      attempt,
      owner,
      device,
      fuel: fuel ?? 0,
      receipt: hex(sha256(receipt ?? new Uint8Array())),
    }))
  const fuel = lines.reduce((sum, line) => sum + line.fuel, 0)
  if (fuel !== job.fuel_used) throw new InternalError(`lines of ${fuel} for fuel ${job.fuel_used}`)
  const invoice: WorkInvoice = {
    job: hex(job.id),
    name: job.name,
    customer: job.customer,
    issuedMs: nowMs,
    isFinal: job.state !== 'running',
    lines,
    fuel,
    priceMinorPerGigafuel: job.price,
    ceilingMinor: job.ceiling,
    currency: job.currency,
    dueMinor: costOf(job),
  }
  if (job.member !== null) invoice.member = job.member
  return invoice
}

/** The invoice, signed by work, with the receipts that it names: deterministic CBOR. */
export function invoiceDocument(invoice: WorkInvoice, copies: readonly CopyRow[], signer: DirectSigner): Uint8Array {
  const receipts = copies.flatMap(({ charged, receipt }) => (charged === 1 && receipt ? [receipt] : []))
  return encodeDeterministic({ invoice: sign1(encodeDeterministic(invoice), signer, invoiceDomain), receipts })
}
