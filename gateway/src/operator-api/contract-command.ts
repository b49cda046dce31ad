/**
 * Commands that are contracts with the authority `operator` (docs/decisions/0029). Role, second person, options and their
 * meaning follow from the contract; the operator API judges role and request before anything is carried out, and what is
 * answered is the contract's reply.
 */
import type { Values } from '@azukari/protocol/adapters/command'
import { UsageError } from '@azukari/protocol/adapters/command-line'
import type { Contract, ReplyOf, RequestOf, TSchema } from '@azukari/protocol/contract'
import { fromText } from '@azukari/protocol/json-body'
import { InternalError, isProblem } from '@azukari/protocol/problem'
import type { OpenService, ServiceCommand } from '../host/service-module.ts'
import { folder, site } from '../operator/site-options.ts'
import type { Act, Answer, OperatorCommand, OperatorCommandHead, ServiceAct } from './roles.ts'

/** The words of a command that is a contract. */
export interface ContractWords {
  /** Fields of the request that follow the options, in order. */
  positionals?: readonly string[]
  /** Fields that name files which go along with the call; a positional one is written in capitals. */
  filesIn?: readonly string[]
  /** Fields that name files which the caller writes. */
  filesOut?: readonly string[]
}

interface Field {
  type?: string
  description?: string
}

/** What a person reads in place of JSON, and what a program gets. */
export interface Told<C extends Contract> {
  reply: ReplyOf<C>
  text: string
}

/** A command of a service. */
export function serviceContractCommand<C extends Contract, Open extends OpenService>(
  contract: C,
  words: ContractWords,
  carryOut: (open: Open, request: RequestOf<C>, act: ServiceAct) => Promise<Told<C>>,
): ServiceCommand<Open> {
  return {
    ...headOf(contract, words, { folder, site }),
    carryOut: async (open, act, values, positionals) =>
      answerOf(contract, await carryOut(open, requestOf(contract, words, values, positionals), act)),
  }
}

/** A command of the gateway. */
export function contractCommand<C extends Contract>(
  contract: C,
  words: ContractWords,
  carryOut: (act: Act, request: RequestOf<C>) => Promise<Told<C>>,
): OperatorCommand {
  return {
    ...headOf(contract, words, { folder }),
    carryOut: async (act, values, positionals) =>
      answerOf(contract, await carryOut(act, requestOf(contract, words, values, positionals))),
  }
}

/** The words with which a contract is called. */
export function commandName({ name }: Pick<Contract, 'name'>): string {
  return name.replaceAll('.', ' ')
}

/** @throws {InternalError} for a contract of another authority */
function headOf(contract: Contract, words: ContractWords, where: OperatorCommandHead['options']): OperatorCommandHead {
  const { operator, title } = contract
  if (!operator) throw new InternalError(`${contract.id} is no operator’s`)
  const { positionals = [] } = words
  const options = { ...where }
  for (const [name, field] of Object.entries(fieldsOf(contract)).filter(([name]) => !positionals.includes(name))) {
    const option: (typeof options)[string] = {
      type: field.type === 'boolean' ? 'boolean' : 'string',
      what: field.description ?? '',
    }
    if (field.type === 'array') option.multiple = true
    if (requiredOf(contract).includes(name)) option.required = true
    options[name] = option
  }
  const head: OperatorCommandHead = {
    what: `${title}.${operator.twoPeople ? ' Takes two people.' : ''}`,
    role: operator.role,
    options,
    contract,
    check: (values, given) => void requestOf(contract, words, values, given),
  }
  if (operator.twoPeople) head.twoPeople = true
  if (words.filesIn) head.filesIn = words.filesIn
  if (words.filesOut) head.filesOut = words.filesOut
  if (positionals.length > 0) head.positionals = positionals.map((name) => name.toUpperCase()).join(' ')
  return head
}

/** The request that a call's words make. @throws {UsageError} for words that do not fit */
function requestOf<C extends Contract>(
  contract: C,
  { positionals = [] }: ContractWords,
  values: Values,
  given: readonly string[],
): RequestOf<C> {
  if (given.length > positionals.length) throw new UsageError(`what is ${given[positionals.length]}?`)
  const texts: Record<string, string> = {}
  const others: Record<string, unknown> = {}
  for (const [name, field] of Object.entries(fieldsOf(contract))) {
    const at = positionals.indexOf(name)
    const value = at < 0 ? values[name] : given[at]
    if (value === undefined) continue
    if (typeof value === 'string' && field.type !== 'array') texts[name] = value
    else others[name] = field.type === 'array' ? [value].flat() : value
  }
  try {
    return contract.checkRequest({ ...(fromText(contract.request, texts) as object), ...others }) as RequestOf<C>
  } catch (error) {
    if (!isProblem(error, 'message.invalid')) throw error
    throw new UsageError(typedWords(error.detail ?? contract.id, positionals))
  }
}

/** What does not fit, under the name by which it was typed. */
function typedWords(detail: string, positionals: readonly string[]): string {
  const [, name, rest] = /^\S+ request: \/(\w+)(.*)$/.exec(detail) ?? []
  if (name === undefined) return detail.replace(/^\S+ request: \/ /, 'the command ')
  return `${positionals.includes(name) ? name.toUpperCase() : `--${name}`}${rest}`
}

/** @throws {InternalError} for a reply that is none of the contract's */
function answerOf<C extends Contract>(contract: C, { reply, text }: Told<C>): Answer {
  try {
    return { json: contract.checkReply(reply), text }
  } catch (error) {
    throw new InternalError(`${contract.id} answers with something else`, { cause: error })
  }
}

function fieldsOf({ request }: Contract): Record<string, Field> {
  return (request as TSchema & { properties?: Record<string, Field> }).properties ?? {}
}

function requiredOf({ request }: Contract): readonly string[] {
  return (request as TSchema & { required?: string[] }).required ?? []
}
