// Where refusals are written down: the part of the audit log that the platform needs.

/** The refusals that come from the platform itself. The audit log knows more actions. */
type RefusalAction =
  | 'refused.address'
  | 'refused.csrf'
  | 'refused.device'
  | 'refused.message'
  | 'refused.rate'
  | 'refused.role'
  | 'refused.session'
  | 'refused.token';

interface RefusedRequest {
  readonly action: RefusalAction;
  /** A user's name, a serial or a token's name; empty when none is known. */
  readonly who?: string;
  readonly address: string;
  readonly detail?: string;
}

export interface AuditTrail {
  /** Never throws. */
  record(refusal: RefusedRequest): Promise<void>;
}
