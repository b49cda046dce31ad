/** Set for a runtime that a launcher started: it may ask to be started again. */
export const launchedVariable = 'AZUKARI_LAUNCHED'
