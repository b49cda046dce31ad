/** Every contract, for routers, access rules and generated documents. */
import type { Contract } from '../contract.ts'
import * as care from './audit.ts'
import * as content from './content.ts'
import * as contentOperators from './content-operators.ts'
import * as delivery from './delivery.ts'
import * as download from './download.ts'
import * as fleet from './fleet.ts'
import * as hazard from './hazard.ts'
import * as https from './https.ts'
import * as internal from './internal.ts'
import * as keys from './keys.ts'
import * as wish from './member-request.ts'
import * as operators from './operators.ts'
import * as placementOperators from './placement-operators.ts'
import * as read from './read.ts'
import * as rights from './rights.ts'
import * as rightsBoards from './rights-boards.ts'
import * as rightsCopies from './rights-copies.ts'
import * as rightsOperators from './rights-operators.ts'
import * as save from './save.ts'
import * as server from './server.ts'
import * as serverEnrolment from './server-enrolment.ts'
import * as session from './session.ts'
import * as settlementBilling from './settlement-billing.ts'
import * as settlementCentre from './settlement-centre.ts'
import * as settlementCharges from './settlement-charges.ts'
import * as settlementMail from './settlement-mail.ts'
import * as settlementMembers from './settlement-members.ts'
import * as settlementOperators from './settlement-operators.ts'
import * as settlementPlacement from './settlement-placement.ts'
import * as settlementPurchase from './settlement-purchase.ts'
import * as settlementShop from './settlement-shop.ts'
import * as settlementValue from './settlement-value.ts'
import * as settlementWebhooks from './settlement-webhooks.ts'
import * as transfer from './transfer.ts'
import * as work from './work.ts'
import * as workLicences from './work-licences.ts'
import * as workOperators from './work-operators.ts'

function isContract(value: unknown): value is Contract {
  return typeof value === 'object' && value !== null && 'checkRequest' in value
}

export const contracts: readonly Contract[] = [
  fleet,
  session,
  transfer,
  download,
  save,
  read,
  https,
  internal,
  keys,
  operators,
  server,
  serverEnrolment,
  placementOperators,
  hazard,
  delivery,
  content,
  contentOperators,
  care,
  wish,
  settlementCentre,
  settlementCharges,
  settlementMail,
  settlementMembers,
  settlementValue,
  settlementPurchase,
  settlementShop,
  settlementWebhooks,
  settlementOperators,
  settlementPlacement,
  settlementBilling,
  rights,
  rightsBoards,
  rightsCopies,
  rightsOperators,
  work,
  workLicences,
  workOperators,
].flatMap((module) => Object.values<unknown>(module).filter(isContract))
