// Written by tools/page_types.py from the server's OpenAPI; change messages.py and not this.

export type paths = Record<string, never>;
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        /**
         * AgentReply
         * @description A wish is stored.
         */
        AgentReply: {
            progress: components["schemas"]["Progress"];
        };
        /**
         * AgentRequest
         * @description Wish something of the agent.
         */
        AgentRequest: {
            /**
             * Wish
             * @enum {string}
             */
            wish: "go_on" | "pause" | "stop";
        };
        /**
         * AgreementReply
         * @description How far people agree.
         */
        AgreementReply: {
            /** Raw */
            raw: number | null;
            /** Alpha */
            alpha: number | null;
            /** N Pairs */
            n_pairs: number;
        };
        /**
         * AnswerReply
         * @description An answer that is stored.
         */
        AnswerReply: {
            /** Id */
            id: string;
            /** Seq */
            seq: number;
            /** Late */
            late: boolean;
            /** Server Time */
            server_time: number;
            progress: components["schemas"]["Progress"];
        };
        /**
         * AnswerRequest
         * @description Say which is better, how all follow each other, or how good one is; or take that back.
         */
        AnswerRequest: {
            /**
             * Id
             * Format: uuid
             */
            id: string;
            /** Query Id */
            query_id: string;
            /** Choice */
            choice?: ("left" | "right" | "equal" | "cannot_tell" | "much_left" | "much_right") | null;
            /** Ranks */
            ranks?: number[] | null;
            /** Rating */
            rating?: number | null;
            /**
             * Kind
             * @default pair
             * @enum {string}
             */
            kind: "pair" | "strength" | "ranking" | "rating";
            /** Supersedes */
            supersedes?: string | null;
            /** Reaction Ms */
            reaction_ms?: number | null;
            /** Replays */
            replays?: number | null;
            /** Client Time */
            client_time?: number | null;
            remark?: components["schemas"]["Remark"] | null;
            /** Comment */
            comment?: string | null;
        };
        /**
         * AsideReply
         * @description Whether somebody's answers are set aside.
         */
        AsideReply: {
            /** Name */
            name: string;
            /** Aside */
            aside: boolean;
        };
        /**
         * AsideRequest
         * @description Set somebody's answers aside, or take that back.
         */
        AsideRequest: {
            /** Aside */
            aside: boolean;
        };
        /**
         * ClaimsReply
         * @description Queries for one person.
         */
        ClaimsReply: {
            /** Queries */
            queries: components["schemas"]["QueryReply"][];
            /** Reason */
            reason: ("none_open" | "quota_given" | "budget_used" | "finished") | null;
            progress: components["schemas"]["Progress"];
        };
        /**
         * ClaimsRequest
         * @description Ask for queries to answer.
         */
        ClaimsRequest: {
            /** N */
            n: number;
            /**
             * Holding
             * @default []
             */
            holding: string[];
        };
        /**
         * ClipReply
         * @description Where a clip is and how it plays.
         */
        ClipReply: {
            /** Clip */
            clip: string;
            /** Poster */
            poster: string;
            /** Duration S */
            duration_s: number;
            /** Fps */
            fps: number;
            /** Speed */
            speed: number;
        };
        /**
         * DisagreementEntry
         * @description A query of which people say opposite things, or that was settled.
         */
        DisagreementEntry: {
            /** Query Id */
            query_id: string;
            /** Clips */
            clips: components["schemas"]["ClipReply"][];
            /** Opinions */
            opinions: components["schemas"]["OpinionReply"][];
            /** Holds */
            holds: string | null;
        };
        /**
         * DisagreementsReply
         * @description What is to be settled, and what was: the newest of each.
         */
        DisagreementsReply: {
            /** Items */
            items: components["schemas"]["DisagreementEntry"][];
            /** N Open */
            n_open: number;
            /** N Settled */
            n_settled: number;
        };
        /**
         * ExampleEntry
         * @description A clip that shows what is asked for, or what is not.
         */
        ExampleEntry: {
            /**
             * Name
             * @enum {string}
             */
            name: "good" | "bad" | "tricky";
            /** Sentence */
            sentence: string;
            /** Clip */
            clip: string;
        };
        /**
         * GoldReply
         * @description Whether others are measured by an answer.
         */
        GoldReply: {
            /** Query Id */
            query_id: string;
            /** Gold */
            gold: boolean;
        };
        /**
         * GoldRequest
         * @description Measure others by one's own answer to a query, or no more.
         */
        GoldRequest: {
            /** Query Id */
            query_id: string;
            /** Gold */
            gold: boolean;
        };
        /** HTTPValidationError */
        HTTPValidationError: {
            /** Detail */
            detail?: components["schemas"]["ValidationError"][];
        };
        /**
         * HistoryEntry
         * @description An answer given before.
         */
        HistoryEntry: {
            /** Answer Id */
            answer_id: string;
            /** Seq */
            seq: number;
            /** Place */
            place: number;
            /** Query Id */
            query_id: string;
            /**
             * Kind
             * @enum {string}
             */
            kind: "pair" | "strength" | "ranking" | "rating";
            /** Choice */
            choice: ("left" | "right" | "equal" | "cannot_tell" | "much_left" | "much_right") | null;
            /** Ranks */
            ranks: number[] | null;
            /** Rating */
            rating: number | null;
            /** Choices */
            choices: ("left" | "right" | "equal" | "cannot_tell" | "much_left" | "much_right")[];
            /** Ranking */
            ranking: boolean;
            /** Levels */
            levels: number;
            /** Clips */
            clips: components["schemas"]["ClipReply"][];
            /** Server Time */
            server_time: number;
            /** Changed */
            changed: boolean;
            /** Gold */
            gold: boolean;
            remark: components["schemas"]["Remark"] | null;
            /** Comment */
            comment: string | null;
        };
        /**
         * HistoryReply
         * @description Answers given before, newest first.
         */
        HistoryReply: {
            /** Items */
            items: components["schemas"]["HistoryEntry"][];
            /** Next Before */
            next_before: number | null;
        };
        /**
         * InvitationReply
         * @description A way in for somebody.
         */
        InvitationReply: {
            /** Name */
            name: string;
            /** Link */
            link: string;
        };
        /**
         * InvitationRequest
         * @description Invite somebody.
         */
        InvitationRequest: {
            /** Name */
            name: string;
            /**
             * Role
             * @default labeler
             * @enum {string}
             */
            role: "owner" | "labeler";
            /** Quota */
            quota?: number | null;
        };
        /**
         * LegendEntry
         * @description A part of the agent's body, and the colour that it has in clips.
         */
        LegendEntry: {
            /** Name */
            name: string;
            /** Colour */
            colour: string;
        };
        /**
         * OpinionReply
         * @description What somebody says of a query that others see otherwise.
         */
        OpinionReply: {
            /** Labeler */
            labeler: string;
            /** Choice */
            choice: ("left" | "right" | "equal" | "cannot_tell" | "much_left" | "much_right") | null;
            /** Ranks */
            ranks: number[] | null;
            /** Rating */
            rating: number | null;
            remark: components["schemas"]["Remark"] | null;
            /** Comment */
            comment: string | null;
        };
        /**
         * PeopleEntry
         * @description How somebody does.
         */
        PeopleEntry: {
            /** Name */
            name: string;
            /**
             * Role
             * @enum {string}
             */
            role: "owner" | "labeler";
            /** Answers */
            answers: number;
            /** Per Minute */
            per_minute: number | null;
            /** Error Estimate */
            error_estimate: number | null;
            /** Revoked */
            revoked: boolean;
            /** Comes By Link */
            comes_by_link: boolean;
            /** Set Aside */
            set_aside: boolean;
            /** Quota */
            quota: number | null;
            /** Counted */
            counted: number;
            /** Last Seen */
            last_seen: number | null;
            quality: components["schemas"]["QualityReply"] | null;
        };
        /**
         * PeopleReply
         * @description Everybody.
         */
        PeopleReply: {
            /** People */
            people: components["schemas"]["PeopleEntry"][];
            agreement: components["schemas"]["AgreementReply"];
            /** N Disagreements */
            n_disagreements: number;
            /** Shortfall */
            shortfall: number;
            /** Owner Answers */
            owner_answers: boolean;
            /** Local Only */
            local_only: boolean;
        };
        /**
         * PersonReply
         * @description Who somebody is.
         */
        PersonReply: {
            /** Name */
            name: string;
            /**
             * Role
             * @enum {string}
             */
            role: "owner" | "labeler";
        };
        /**
         * PracticeEntry
         * @description A clip to practise on.
         */
        PracticeEntry: {
            /** Sentence */
            sentence: string;
            /** Clip */
            clip: string;
            /** Fps */
            fps: number;
        };
        /**
         * PredictionsReply
         * @description What the reward model makes of each step.
         */
        PredictionsReply: {
            /** Clips */
            clips: number[][];
        };
        /**
         * Progress
         * @description How far one person, and all together, have come.
         */
        Progress: {
            /** Answered */
            answered: number;
            /** Cannot Tell */
            cannot_tell: number;
            /** Total */
            total: number;
            /** Budget */
            budget: number | null;
            /** Per Minute */
            per_minute: number | null;
            /** Seconds Left */
            seconds_left: number | null;
            /** Open */
            open: number;
            /** Quota */
            quota: number | null;
            /** Counted */
            counted: number;
            trainer: components["schemas"]["TrainerProgress"];
        };
        /**
         * QualityReply
         * @description How somebody answers; shares are from 0 to 1, None where there is too little to tell.
         */
        QualityReply: {
            /** Left */
            left: number | null;
            /** Right */
            right: number | null;
            /** Equal */
            equal: number | null;
            /** Median Seconds */
            median_seconds: number | null;
            /** Too Fast */
            too_fast: number | null;
            /** Agreement */
            agreement: number | null;
            /** N Shared */
            n_shared: number;
            /** Gold */
            gold: number | null;
            /** N Gold */
            n_gold: number;
            /** Warnings */
            warnings: string[];
        };
        /**
         * QueryReply
         * @description Clips to compare, or one to rate.
         */
        QueryReply: {
            /** Query Id */
            query_id: string;
            /** Lease Expires At */
            lease_expires_at: number;
            /** Clips */
            clips: components["schemas"]["ClipReply"][];
        };
        /**
         * QuotaReply
         * @description How much is asked of somebody at most.
         */
        QuotaReply: {
            /** Name */
            name: string;
            /** Quota */
            quota: number | null;
        };
        /**
         * QuotaRequest
         * @description Ask somebody for so many comparisons at most.
         */
        QuotaRequest: {
            /** Quota */
            quota: number | null;
        };
        /**
         * Remark
         * @description What is the matter with a pair, besides which is better; nothing is learned from it.
         * @enum {string}
         */
        Remark: "broken" | "alike" | "incomparable" | "unclear";
        /**
         * RevokedReply
         * @description Somebody who may come in no more.
         */
        RevokedReply: {
            /** Name */
            name: string;
            /**
             * Revoked
             * @default true
             * @constant
             */
            revoked: true;
        };
        /**
         * RunReply
         * @description What is asked, and of whom.
         */
        RunReply: {
            /**
             * State
             * @enum {string}
             */
            state: "waiting_for_trainer" | "ready";
            /** Run Id */
            run_id: string;
            /** Task */
            task: string | null;
            /** Question */
            question: string | null;
            /** Question Is Custom */
            question_is_custom: boolean;
            /**
             * Feedback
             * @enum {string}
             */
            feedback: "pair" | "strength" | "ranking" | "rating";
            /** Choices */
            choices: ("left" | "right" | "equal" | "cannot_tell" | "much_left" | "much_right")[];
            /** Ranking */
            ranking: boolean;
            /** Levels */
            levels: number;
            /** Budget */
            budget: number | null;
            /** Segment Length */
            segment_length: number | null;
            labeler: components["schemas"]["PersonReply"];
            /** Gui Version */
            gui_version: string;
            /** Show Predictions */
            show_predictions: boolean;
            /** Least Look Seconds */
            least_look_seconds: number;
            /** Longest Comment */
            longest_comment: number;
            /** Examples */
            examples: components["schemas"]["ExampleEntry"][];
            /** Practice */
            practice: components["schemas"]["PracticeEntry"][];
            /** Legend */
            legend: components["schemas"]["LegendEntry"][];
        };
        /**
         * SettleReply
         * @description Whose answer to a query holds.
         */
        SettleReply: {
            /** Query Id */
            query_id: string;
            /** Labeler */
            labeler: string | null;
        };
        /**
         * SettleRequest
         * @description Have one person's answer to a query hold, or all of them again.
         */
        SettleRequest: {
            /** Query Id */
            query_id: string;
            /** Labeler */
            labeler: string | null;
        };
        /**
         * ShowcaseEntry
         * @description An episode of the agent.
         */
        ShowcaseEntry: {
            /** Num Timesteps */
            num_timesteps: number;
            /** Clip */
            clip: string;
            /** Poster */
            poster: string;
            /** Duration S */
            duration_s: number;
            /** Fps */
            fps: number;
            /** Speed */
            speed: number;
        };
        /**
         * TrainerProgress
         * @description What the training does; what it has not said is None.
         */
        TrainerProgress: {
            /** State */
            state?: string | null;
            /** Num Timesteps */
            num_timesteps?: number | null;
            /** Labels */
            labels?: number | null;
            /** Labels Due */
            labels_due?: number | null;
            /** Waits For */
            waits_for?: number | null;
            /** Refits */
            refits?: number | null;
            /** True Return */
            true_return?: number | null;
            /** Held Out Accuracy */
            held_out_accuracy?: number | null;
            /** Policies */
            policies?: number | null;
            /** Note */
            note?: string | null;
            /** Updated At */
            updated_at?: number | null;
            /** Alive */
            alive: boolean;
            /**
             * Listens
             * @default false
             */
            listens: boolean;
            /** Wish */
            wish?: ("go_on" | "pause" | "stop") | null;
        };
        /**
         * TrainingReply
         * @description How the training goes.
         */
        TrainingReply: {
            /** Curves */
            curves: {
                [key: string]: (number | null)[];
            };
            /** Showcase */
            showcase: components["schemas"]["ShowcaseEntry"][];
            /** Resume Command */
            resume_command: string | null;
        };
        /** ValidationError */
        ValidationError: {
            /** Location */
            loc: (string | number)[];
            /** Message */
            msg: string;
            /** Error Type */
            type: string;
            /** Input */
            input?: unknown;
            /** Context */
            ctx?: Record<string, never>;
        };
    };
    responses: never;
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export type AgentReply = components['schemas']['AgentReply'];
export type AgentRequest = components['schemas']['AgentRequest'];
export type AgreementReply = components['schemas']['AgreementReply'];
export type AnswerReply = components['schemas']['AnswerReply'];
export type AnswerRequest = components['schemas']['AnswerRequest'];
export type AsideReply = components['schemas']['AsideReply'];
export type AsideRequest = components['schemas']['AsideRequest'];
export type ClaimsReply = components['schemas']['ClaimsReply'];
export type ClaimsRequest = components['schemas']['ClaimsRequest'];
export type ClipReply = components['schemas']['ClipReply'];
export type DisagreementEntry = components['schemas']['DisagreementEntry'];
export type DisagreementsReply = components['schemas']['DisagreementsReply'];
export type ExampleEntry = components['schemas']['ExampleEntry'];
export type GoldReply = components['schemas']['GoldReply'];
export type GoldRequest = components['schemas']['GoldRequest'];
export type HttpValidationError = components['schemas']['HTTPValidationError'];
export type HistoryEntry = components['schemas']['HistoryEntry'];
export type HistoryReply = components['schemas']['HistoryReply'];
export type InvitationReply = components['schemas']['InvitationReply'];
export type InvitationRequest = components['schemas']['InvitationRequest'];
export type LegendEntry = components['schemas']['LegendEntry'];
export type OpinionReply = components['schemas']['OpinionReply'];
export type PeopleEntry = components['schemas']['PeopleEntry'];
export type PeopleReply = components['schemas']['PeopleReply'];
export type PersonReply = components['schemas']['PersonReply'];
export type PracticeEntry = components['schemas']['PracticeEntry'];
export type PredictionsReply = components['schemas']['PredictionsReply'];
export type Progress = components['schemas']['Progress'];
export type QualityReply = components['schemas']['QualityReply'];
export type QueryReply = components['schemas']['QueryReply'];
export type QuotaReply = components['schemas']['QuotaReply'];
export type QuotaRequest = components['schemas']['QuotaRequest'];
export type Remark = components['schemas']['Remark'];
export type RevokedReply = components['schemas']['RevokedReply'];
export type RunReply = components['schemas']['RunReply'];
export type SettleReply = components['schemas']['SettleReply'];
export type SettleRequest = components['schemas']['SettleRequest'];
export type ShowcaseEntry = components['schemas']['ShowcaseEntry'];
export type TrainerProgress = components['schemas']['TrainerProgress'];
export type TrainingReply = components['schemas']['TrainingReply'];
export type ValidationError = components['schemas']['ValidationError'];
export type $defs = Record<string, never>;
export type operations = Record<string, never>;
