// What the API answers with, as far as the page reads it; openapi.yaml has it
// in full. Numbers pass through a double here, for the eye: files hold them exactly.

export type State = 'OPEN' | 'UPLOAD_COMPLETE' | 'IN_PROGRESS' | 'JOB_COMPLETE' | 'FAILED' | 'ABORTED';

export interface Status {
  job_id: string;
  state: State;
  status: string;
  stage: '' | 'parsing' | 'scoring' | 'persisting';
  message: string;
  filename: string;
  channel: string;
  progress: { bytes_received: number; bytes_total: number | null; processed_bytes: number; percentage: number };
  rows_accepted: number;
  rows_rejected: number;
  created_at: string;
  completed_at: string | null;
  estimated_remaining_seconds: number | null;
  error: string | null;
  can_retry: boolean;
}

export interface Offer {
  account_id: string | null;
  date: string | null;
  amount: number;
  interest_rate: number | null;
  credit_score: number;
  risk_level: string;
  transaction_count: number;
  decision: 'approved' | 'declined';
  months: number;
  composite: number;
  factors: { transaction_volume: number; revenue_ratio: number; consistency: number };
  reason_codes: string[];
  as_of: string | null;
}

export interface OfferPage {
  offers: Offer[];
  pipeline_summary: {
    transactions_processed: number; rows_rejected: number; aggregates_created: number;
    offers_generated: number; declined: number; skipped: number; duration_seconds: number;
  };
  credit_model_results: { model_version: string; as_of: string | null; config_used: Record<string, unknown> };
  next_cursor: string | null;
}

export interface Day { account_id: string | null; date: string | null; total_amount: number; revenue_amount: number; transaction_count: number }

export interface Portfolio {
  scores: { credit_score: number; decision: 'approved' | 'declined'; offers: number; amount: number }[];
  months: { month: string; total_amount: number; revenue_amount: number; transaction_count: number }[];
}

export const ended = (s: Status) => s.state === 'JOB_COMPLETE' || s.state === 'FAILED' || s.state === 'ABORTED';
