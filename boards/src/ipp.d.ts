/** As much of the `@sealsystems/ipp` package as is used here: encoding and decoding of IPP messages (RFC 8010). */
declare module '@sealsystems/ipp' {
  export interface IppMessage {
    version?: string
    operation?: string
    statusCode?: string
    id?: number
    data?: Buffer
    'operation-attributes-tag'?: Record<string, unknown>
    'job-attributes-tag'?: Record<string, unknown>
    'printer-attributes-tag'?: Record<string, unknown>
  }
  const ipp: {
    serialize(message: IppMessage): Buffer
    parse(bytes: Buffer): IppMessage
  }
  export default ipp
}
