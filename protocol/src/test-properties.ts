/**
 * fast-check for the tests' properties, from one seed: a run can be repeated, and a rule broken on purpose is found each time.
 * `AZUKARI_SEED=N` takes another one; what fails names the seed it failed with.
 */
import fc from 'fast-check'

fc.configureGlobal({ ...fc.readConfigureGlobal(), seed: Number(process.env['AZUKARI_SEED'] ?? 1) })

export default fc
