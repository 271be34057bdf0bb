/** A failure the user can act on: its message is printed as it is, without a stack. */
export class DeployError extends Error {}

/** A wrong command line: exit code 2. */
export class UsageError extends DeployError {}
