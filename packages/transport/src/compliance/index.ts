export { complianceSuite } from './compliance-suite.js'
export type { Capability, ComplianceRunner, ComplianceSubject, ComplianceTest, Fixture, Lacks } from './subject.js'
