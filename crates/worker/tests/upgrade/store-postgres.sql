--
-- PostgreSQL database dump
--


-- Dumped from database version 15.18 (Debian 15.18-0+deb12u1)
-- Dumped by pg_dump version 15.18 (Debian 15.18-0+deb12u1)

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

SET default_tablespace = '';

SET default_table_access_method = heap;

--
-- Name: _sqlx_migrations; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public._sqlx_migrations (
    version bigint NOT NULL,
    description text NOT NULL,
    installed_on timestamp with time zone DEFAULT now() NOT NULL,
    success boolean NOT NULL,
    checksum bytea NOT NULL,
    execution_time bigint NOT NULL
);


--
-- Name: acme_accounts; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.acme_accounts (
    directory_url text NOT NULL COLLATE pg_catalog."C",
    key_sealed bytea NOT NULL,
    url text,
    created_at bigint NOT NULL
);


--
-- Name: acme_challenges; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.acme_challenges (
    order_id text NOT NULL COLLATE pg_catalog."C",
    url text NOT NULL,
    token text NOT NULL,
    key_authorization text NOT NULL
);


--
-- Name: acme_orders; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.acme_orders (
    id text NOT NULL COLLATE pg_catalog."C",
    domain_id text NOT NULL COLLATE pg_catalog."C",
    directory_url text NOT NULL,
    url text NOT NULL,
    open boolean NOT NULL,
    key_sealed bytea,
    created_at bigint NOT NULL
);


--
-- Name: cabinet_sightings; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.cabinet_sightings (
    domain_id text NOT NULL COLLATE pg_catalog."C",
    run bigint NOT NULL,
    missing_since bigint
);


--
-- Name: certificates; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.certificates (
    id text NOT NULL COLLATE pg_catalog."C",
    domain_id text NOT NULL COLLATE pg_catalog."C",
    order_id text NOT NULL COLLATE pg_catalog."C",
    hostname text NOT NULL COLLATE pg_catalog."C",
    generation bigint NOT NULL,
    fingerprint text NOT NULL,
    serial text NOT NULL,
    not_before bigint NOT NULL,
    not_after bigint NOT NULL,
    chain_pem text NOT NULL,
    key_sealed bytea NOT NULL,
    ari_id text,
    created_at bigint NOT NULL
);


--
-- Name: chores; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.chores (
    name text NOT NULL COLLATE pg_catalog."C",
    due_at bigint NOT NULL,
    progress text,
    lease_token text,
    lease_expires_at bigint
);


--
-- Name: cursors; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.cursors (
    name text NOT NULL COLLATE pg_catalog."C",
    value text NOT NULL
);


--
-- Name: custom_domains; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.custom_domains (
    id text NOT NULL COLLATE pg_catalog."C",
    tenant_id text NOT NULL,
    hostname text NOT NULL COLLATE pg_catalog."C",
    cname_target text NOT NULL,
    phase text NOT NULL,
    lane text COLLATE pg_catalog."C",
    attempt bigint NOT NULL,
    next_attempt_at bigint,
    lease_token text,
    lease_expires_at bigint,
    acquirable_at bigint GENERATED ALWAYS AS (
CASE
    WHEN (next_attempt_at IS NULL) THEN NULL::bigint
    WHEN (lease_expires_at > next_attempt_at) THEN lease_expires_at
    ELSE next_attempt_at
END) STORED,
    pending_since bigint NOT NULL,
    failed_validations bigint NOT NULL,
    order_not_before bigint NOT NULL,
    last_failure text,
    serving_not_after bigint,
    cabinet_version bigint NOT NULL,
    revision bigint NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    tenant_shard bigint DEFAULT 0 NOT NULL,
    urgent_from bigint,
    serving_certificate_id text
);


--
-- Name: domain_events; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.domain_events (
    domain_id text NOT NULL COLLATE pg_catalog."C",
    seq bigint NOT NULL,
    at bigint NOT NULL,
    kind text NOT NULL,
    phase text NOT NULL,
    detail text NOT NULL,
    duration_micros bigint,
    replica text DEFAULT ''::text NOT NULL
);


--
-- Name: edge_deployments; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.edge_deployments (
    domain_id text NOT NULL COLLATE pg_catalog."C",
    edge text NOT NULL COLLATE pg_catalog."C",
    certificate_id text NOT NULL COLLATE pg_catalog."C",
    deployed_at bigint NOT NULL,
    generation bigint DEFAULT 0 NOT NULL
);


--
-- Name: edges; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.edges (
    name text NOT NULL COLLATE pg_catalog."C",
    unreachable_since bigint,
    answered_again_at bigint,
    doubted_until bigint,
    problem text,
    compared_at bigint,
    certificates bigint,
    behind bigint,
    unknown bigint,
    first_seen_at bigint NOT NULL,
    listed_at bigint NOT NULL
);


--
-- Name: outbox; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.outbox (
    id bigint NOT NULL,
    domain_id text NOT NULL COLLATE pg_catalog."C",
    report text NOT NULL,
    attempt bigint NOT NULL,
    next_attempt_at bigint,
    lease_token text,
    lease_expires_at bigint,
    acquirable_at bigint GENERATED ALWAYS AS (
CASE
    WHEN (next_attempt_at IS NULL) THEN NULL::bigint
    WHEN (lease_expires_at > next_attempt_at) THEN lease_expires_at
    ELSE next_attempt_at
END) STORED,
    created_at bigint NOT NULL,
    status text DEFAULT ''::text NOT NULL
);


--
-- Name: outbox_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

ALTER TABLE public.outbox ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.outbox_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);


--
-- Name: rate_limit_buckets; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.rate_limit_buckets (
    bucket text NOT NULL COLLATE pg_catalog."C",
    full_at bigint NOT NULL,
    spent bigint DEFAULT 0 NOT NULL,
    parked_until bigint DEFAULT 0 NOT NULL
);


--
-- Name: rate_limit_slots; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.rate_limit_slots (
    domain_id text NOT NULL COLLATE pg_catalog."C",
    bucket text NOT NULL COLLATE pg_catalog."C",
    slot_at bigint NOT NULL
);


--
-- Name: renewal_questions; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.renewal_questions (
    domain_id text NOT NULL COLLATE pg_catalog."C",
    certificate_id text NOT NULL COLLATE pg_catalog."C",
    ask_at bigint NOT NULL,
    window_start_at bigint,
    window_end_at bigint,
    explanation_url text,
    failures bigint NOT NULL
);


--
-- Data for Name: _sqlx_migrations; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public._sqlx_migrations VALUES (1, 'work_records', '2026-11-29 17:03:48.942541+00', true, '\xa5410d954d16c9edce1bca70fa18587caadacfb70c3bc5d07a489c76c21811a22758b40daf32b30578d8dfeb5cdce496', 6186241);
INSERT INTO public._sqlx_migrations VALUES (2, 'certificates', '2026-11-29 17:03:48.949225+00', true, '\xfe1abf2ba7737c087496bd652c88d4ed160dcfddde97d02f5cb92ee844b8eee2363c8275bcc81e0de1be726e16b58673', 32953819);
INSERT INTO public._sqlx_migrations VALUES (3, 'history_and_reports', '2026-11-29 17:03:48.982485+00', true, '\xcc3cc77821170f4ae0f16936019f8395b53ccd837b70cf39ea913648a261127dc6f3bc41b530970878ddf9a1c1369ff7', 8193773);
INSERT INTO public._sqlx_migrations VALUES (4, 'rate_limits', '2026-11-29 17:03:48.990974+00', true, '\x2e34768f71582edba86ee23f369ed98c35c5ad4bbcd29899f38af3d44261a9fbb37b37b7c89973b3d005a95131e5867e', 2042224);
INSERT INTO public._sqlx_migrations VALUES (5, 'fair_lanes', '2026-11-29 17:03:48.995959+00', true, '\x4542ad557875b11b4a9b8706c632829b124a19ac274fa85e00ce9e921ea8c063bd938e2e2a4ff27bd91681f2fdad8457', 5587233);
INSERT INTO public._sqlx_migrations VALUES (6, 'limits_ledger', '2026-11-29 17:03:48.999007+00', true, '\xcc1b905bde7715bfe50f52c4a7014007f0034dcfc7f340007bc1dc31502358afe6c46e101e3831329aa5a57ee8e1b374', 3169583);
INSERT INTO public._sqlx_migrations VALUES (7, 'renewal_information', '2026-11-29 17:03:49.002411+00', true, '\x543972928fb6be38c3f52bd9eb88ff0d0baec31ff5d7620f732e81b2f741269fb548dee7313d9d3ee7743e3d4b354caa', 628711);
INSERT INTO public._sqlx_migrations VALUES (8, 'timeline_and_sync', '2026-11-29 17:03:49.003201+00', true, '\xae40db60f050dd85994c5c5c696176afbe2f9d0fae7e599e6874b20b4b372271acebbe87fb0fde3d9b8ef055b844949e', 9637842);
INSERT INTO public._sqlx_migrations VALUES (14, 'reports_of_progress', '2026-11-29 17:03:49.013112+00', true, '\x0e0ae1ede4c6bcd9758a03705515b6faa9ed78814170c1f7b7610a9a5afd3d95bc04dcaa583b8e8fde862013e559907e', 1080120);
INSERT INTO public._sqlx_migrations VALUES (15, 'fleet', '2026-11-29 17:03:49.014354+00', true, '\xef13db97f0698e5997765709e08b7e6023c25791a9cc4f490a6a455bde67207d06b4406eba5d97fd57e70c600e8c6465', 3463308);
INSERT INTO public._sqlx_migrations VALUES (16, 'renewal_questions', '2026-11-29 17:03:49.017981+00', true, '\xf57bf6d4df9865ce3558f9380e53c4a96afb9bdc804cfe04065902f32850fddc9701f65d59bd21a221abab4633cac95f', 2617657);


--
-- Data for Name: acme_accounts; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.acme_accounts VALUES ('https://127.0.0.1:32877/dir', '\x0105666972737437dfa4ed43b83df2bb7dc1b02b5cec38ff15a9c2e8f3cb800ea7fae21cfcd439e5bca6236c00eb8695caba2ee9d6c2290097641d7515c23ed8e2cd7e90254c6506c3c0de359af5c6b36824a3769934daf04a42b10573d22b457be386796af0ee6ce08c5ece3190ac85f9155bf577bb098fab3434f4431bf4f6750e95cbf6ac1e713e4987859e78205381bfbcde2c0b7d44d1d3109bf0e8e9ead4ed331d0e96b4f030bf89e2507b511d796234926de1c2caeec5c3c24231d5ab6cd3264aeb75f43b2b3f5b6b1ef11bfa63600d000fb3ec3b2a2cccf5045c72d462504a47f1d8f2dee225957435b5ae4e45dc056d78aeda4b16589c58c7241ca6655feae79d0b7ef88c24260c6a56c53fea891b91582d9e5ae3771b5eb62f51eca3f54daa4f0e46296db71929b666212b4adf9edc73edfff607309c8e4d82b40b6f3a1a79b6dff76bbb292b9b7a9841f9', 'https://127.0.0.1:32877/my-account/435851a0c449bed', 1795971829337470);


--
-- Data for Name: acme_challenges; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.acme_challenges VALUES ('01a22843-536e-730e-97b5-d9127455e401', 'https://127.0.0.1:32877/chalZ/0a37rwk7l4m1zgAn6BQ--Bzv-PdelBqqXq5R7Kg7SZQ', 'olcS1GRUptWmtIg-jlAcnaAI8gZeqjHDEqY3GBEpeRY', 'olcS1GRUptWmtIg-jlAcnaAI8gZeqjHDEqY3GBEpeRY.3tYPSAjM_IYrp8LKy2dL9Ptj---k8EsNSNbTfKE9qfc');


--
-- Data for Name: acme_orders; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.acme_orders VALUES ('01a22843-586d-7751-b82b-fcbbc8f2066c', '01a22843-4dc2-7b0e-ba67-9f753446ffb8', 'https://127.0.0.1:32877/dir', 'https://127.0.0.1:32877/my-order/moFPmyDQmCBeI6QIsNbdKsFLHDfERBOHvDi21ALBtkg', true, '\x010566697273743b15d8912d8a064064f4050881587649962892c168f4aabe9d0b6f400be7b577be153e2606c1f6648f824ec467fbdca2ff0e1b40ca5b447e7beaf28691f5c519a7ee417bdc9da148fe2f2ca6e554e3372a24ca62e8658c8566eb15a98451da820becbad4ce436da5d3759e2cd88eeb8aa858b4a6136e413303e0bc0cd3f35925c4c4b59a47cbfbd67d2aa84aa40f886f09a61ac9b3995ead554bca095554373c38fe3a2daa18f777a1f9daa76772b0683139a054817049a72993908976cb5ebb0880d5122083a9163b2a3499a0f74d2693dfafc8fa43097445d32f5a71af3c5c2f1165ca95c1e2cf469eddbf058c49c7ed784afe74fcf84d7093322a92890cdd0c3638db911040b521eb0c862f89c2353eebbec1bb1bc5da8ba3a38cbac69720fd8dd63ed41b4b2c2988b6e295892652d1e0c3cef6065d6b99e09c4ef3a5c6c81b44eb7cb458ea70a6', 1795971831917459);
INSERT INTO public.acme_orders VALUES ('01a22843-4e8e-7c6b-84a4-461259fb97f0', '01a22843-4dc2-7b0e-ba67-9f753446ffb8', 'https://127.0.0.1:32877/dir', 'https://127.0.0.1:32877/my-order/k3IZi7UmXOoU9mKgbtwGSKdpjfsSepNRsMtvirJpV8M', false, '\x0105666972737443eb6d7df771110a383fe7d349a2d2db79a562399c785409ea9aa139a19a9716c070f92c7e3a1fe5ab9d47328e8089548b0ecab330d0bd5c8237d1ea4f5b575a7ffcffc38522bc41f0ac7cdf3fe26d99859c038113a6cf59a819687b1a09be435fd160d68b5083f52bd34f59c4b3a0b1a1d8ae79f0436e28106c1a0852ae1346490e93e48bffb4bd4d70091ffd3eeb8c21001e2aa9a32f8df5c1c437f218f026215a1cdbc34a688352752e6740e8979094b9c536ce57e56f0cb0bc38d828e00287542c06c42c6ba31f497691124b06a8ad4ac2737654a01a68014abab2a2a950cb9b935d76bd38e3f476aa32674072ba5c1323ff947738228bc9c76bff3ac250558a48caa559199491e109b3041bacdcd045fcaa7b389a973c2bbbdfa71de5cfdff6b579aa5ca4c4dd5efbcaa1346ed8774476321930ea0619da295cc62abe08e710e9eab9fe7f02ad', 1795971829390562);
INSERT INTO public.acme_orders VALUES ('01a22843-4e96-7ffe-a464-c4f86bd1c86f', '01a22843-4d80-7932-b976-a8dd8acec382', 'https://127.0.0.1:32877/dir', 'https://127.0.0.1:32877/my-order/hXG_DmDIit4WHdKUJZSB-h4PNo_o3AOUOt6Ybjasllg', false, '\x0105666972737432f0de1f2cd0a0d705fd1e00f2816f8a60d02d6c5fb4338fd39166170867225d4ccf8ff7c98a91326619c14583972f5b34394884948603f79d9210f8886f2f326cc81fd8df33ebab22e1f2276cd61a8a41639841e5a4662c9c902f4252e99c68d608046a3c2a3e87801f3272ff98b7bb671360706015818b0444e7dabcbb725a3d9adf5f456ae27de52a2958195a287d80363bde115aaf25525cd0fc87755eb70b9a300ee965798e9ff6ede5b8e946675927ecdd8b77c4d63158975d9b06bff83f6752fd098b2ac5f5eb0d32204b58db7c6bfe5180c6299d0dde70a9c710f0cb7ed93bc8ec2b7c73e1cff5916067e261220094a3683446f073483761d68c65382f35efdbd7101d4d8c454626fd6ba2a9994d2a9679dd25cfa46e9108438c8b0fcbfc4c290ecaf50b75bf316c2ca32371f618c1a26f9a000fac808b5f18c1e29af33208b3eb4bfdfc1f', 1795971829398379);
INSERT INTO public.acme_orders VALUES ('01a22843-4e84-731a-b27e-10f248a17423', '01a22843-4dbc-7c3b-8195-a0a5650f875c', 'https://127.0.0.1:32877/dir', 'https://127.0.0.1:32877/my-order/9b4kHxSwcnVtL2UkM5ur3dJEthQdVhZP2BL9oAJVU78', false, '\x010566697273743aaafb724cf33b5d22fd5c063ebee8d96488dbcaae714bc46c9d30154eb994b035a8d9db4ae2fdfef8e232fa7da6360ed354a6ad855e0b08bedb2fcc80abbb68a11d6b30ed4251b88ddad15396377e5e865c71222293613e7245d7a25646db928339a0def718f8005518b587cb740edfb2c7397d9fb56155d4d11b6801cb837c027bbfc70192e999ab5f4f99f11985e86800ba96b9179f634f56b019452ab2a772f51f7ae74afb6a50363579874157c09b608074edbff555a18429a1558bf192e829337d5152fff1f61025ba0ffe6359821402f6b3f066bcaf769c6ce378e6a09eafe2cd762113469a4e7324675c04c36777af3c7b690cf7a6ccabad6428748a5b8cd1892a9f41e6c7126f1ce444151ac7b310cf94f05d73a43242158636bb66a4271a09c1f49cf2728062706edff4d8e966ec6f09bd5477d6f97fce071d1153e20f0afb90d04225b8', 1795971829380570);
INSERT INTO public.acme_orders VALUES ('01a22843-4ea8-75d2-83c1-821e2981e543', '01a22843-4db8-70f1-9546-1b416e2143d1', 'https://127.0.0.1:32877/dir', 'https://127.0.0.1:32877/my-order/P79N-U0IS6vlykaof0ojYNgxSdRjQXH095a_3HKU3VA', false, '\x01056669727374790814e902aa9426d92908e972b7ffc87e4730ed8805affbce2b3ee8acb57324e65f91edcad07eeff9da8af308389ac49eccba56092333f4cfe06ceb17bfc53be61152774dea5591a4f09fad49b300bb263253c2a180e0a49fa0c1bd830d2620873780e6cacd777617782ecec21f71403bc1ed9c01585a195fd398bfeb5115684889c6d656a27e33261db3ec5648b506ce8819693fcd3a09cd72cd96f11eec3ebcb5de9a3bd1dcd04b69ad6d6c716c8416f7c65006bcd67606ccfc4ec36fde8a1ffe03ab08f6f3252e1dd4017a20f99adfaf9ec42b98f23b762ef618f9e732c159f2125cd74562969a2cd502321d6431341e5a4ef94f00559d5206201859765fb2395bd3efcff9b6a8956a502bd39719a93c580cbd38a402aedcb2c7edebf533b38b7e5b5225eb92a829c44d23db73e0148100c29949f152b7eb9039965ae9f8734deac4764ca754e0', 1795971829416947);
INSERT INTO public.acme_orders VALUES ('01a22843-51d4-7b52-bb0e-9369abca1afc', '01a22843-514b-7447-b8c8-2e889f3bd6bf', 'https://127.0.0.1:32877/dir', 'https://127.0.0.1:32877/my-order/5LJyTx_QHrYsf37UVIRjxW1NP0-gxtqZ4l278ELUWNw', true, NULL, 1795971830228662);
INSERT INTO public.acme_orders VALUES ('01a22843-536e-730e-97b5-d9127455e401', '01a22843-52f0-77f6-ba4e-bdd8c12d05d6', 'https://127.0.0.1:32877/dir', 'https://127.0.0.1:32877/my-order/CiDnaGyJJc_I5HUGzrH36pHGH1NDIEfkIQWy6Gm7CFQ', true, NULL, 1795971830638968);
INSERT INTO public.acme_orders VALUES ('01a22843-54e6-7bba-a584-1629e6192180', '01a22843-546b-7ff8-a787-cb09de2207cd', 'https://127.0.0.1:32877/dir', 'https://127.0.0.1:32877/my-order/aYecPc7R9ctvKsjZUy8aQdxQvYRL9_FjvzemdbMqlw0', true, '\x0105666972737424ceeb9db5a7a6c00aaf2e151cc36f7abc77770db9f0de89362c78d40970f130265cb74f9a807ac7e70108b3a09091a9f9f0cc16fa57dc61790f1635e6c313b834b27eb93f9f08050ed7b30dd33da035063c907bbd93efa592d5ba5b38e2377ae3f2fffbd4a9eda0641f35487def682ec0c63ec997bb147272c279a150b66053646b1ab8ded52832378d7b8061641f05d6b2b29d5edb30e2a255e71a840fe99c47e22122ecf251fdb240eff4cc06b9bc885a3a9ca2e053b757ae994f84a538271742db5e75de437280632d0689a69db9561e5908d3a96f6b3d0a5549e9d6c5fb3b3a05135cf795da5bd25b7a1b17a3ad15811a625ac6054fe4492c6fafbe7721ec76bd03c1b2982cac1b28745afe972c2b0ed5227322107652abf00c0792ba59d9070ca0cf54ecda47ee3a7bccf551e6dfcc838d2e459709693ac679f623e25caea429fdf0b7497398', 1795971831014642);
INSERT INTO public.acme_orders VALUES ('01a22843-569c-7dd6-ba70-1aad97dba805', '01a22843-5610-7efd-8f8c-92c30873f106', 'https://127.0.0.1:32877/dir', 'https://127.0.0.1:32877/my-order/fffujm6FroObu3vK_eFVpECcZgPb-t9xC9VmdNkin6g', false, '\x01056669727374823407abd55fff5dccb8d51bf5b4a9a9864f8d037783233c6636ad2407f59d4726da23e3f14f72e5b2356c5203c836513fa3e5d4db056c056dfaa4698de7f403e967d72f4ce5122e06aa5b97b7f3ead869af70be37379b7c0b35a37d11070a69ece0ca9dd6fc6f10ac43a3edbaed71377bfa737e4150b80ebf7af9223832de90fa303a0bc2fd9baa050a3aec3831a85f2b11de64abc502e2d8575287dd91e075cd19bd813af1cd8b5c8f82759c72b91bd3a1695ea0fa736fa29be2716f6bc8803ba6c57ce6d3798f26a2963a1a63b298baa295c22237fe7d7c5ecbf9bfb50644bc90b14f0d9a4b6dedecad8eb6191f8a799b2a92fb7af6ef66af9643a6f13312008fab3d0f6daf6d9cf0aea170a5bc6abceb6eaacb916d653d83add75184959239adb067122864e6c1ace59205ae62aca7c10466129b72cdc895ddadc2139f1baef5e69420051ab817', 1795971831452399);


--
-- Data for Name: cabinet_sightings; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: certificates; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.certificates VALUES ('01a22843-4f12-7447-84eb-efbb64186abc', '01a22843-4dc2-7b0e-ba67-9f753446ffb8', '01a22843-4e8e-7c6b-84a4-461259fb97f0', 'renewing.upgrade.test', 1795971829522702, '2bfe448dfbae67cb48ef5cb51ff1abb6a6eedb8cdbf815c2c437377b4edd3b58', '6ec42c5d27d94e65', 1795971829000000, 2426691828000000, '-----BEGIN CERTIFICATE-----
MIICojCCAYqgAwIBAgIIbsQsXSfZTmUwDQYJKoZIhvcNAQELBQAwKDEmMCQGA1UE
AxMdUGViYmxlIEludGVybWVkaWF0ZSBDQSA2ZTU4MzEwHhcNMjYxMTI5MTcwMzQ5
WhcNNDYxMTI0MTcwMzQ4WjAgMR4wHAYDVQQDExVyZW5ld2luZy51cGdyYWRlLnRl
c3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAQyjpvkqrFYf/V4nt54ApoWUTPH
/wPgQTHgKFg7YxD+lTHF5oViTAI7ZwPLsh/OpYNlddZTZOJfG470AAH0CThGo4Gi
MIGfMA4GA1UdDwEB/wQEAwIFoDAdBgNVHSUEFjAUBggrBgEFBQcDAQYIKwYBBQUH
AwIwDAYDVR0TAQH/BAIwADAdBgNVHQ4EFgQUoYJVqw+SXrKTAEX5w2tYBFqIEeow
HwYDVR0jBBgwFoAU1nw0CZ4k4wqSOoJ4tV4gcequCwUwIAYDVR0RBBkwF4IVcmVu
ZXdpbmcudXBncmFkZS50ZXN0MA0GCSqGSIb3DQEBCwUAA4IBAQA0nAfA5vNJi1yE
kfwQx6PLAX5Z9HfVaJTI6CJp9d9rpyLP/vw0yYV+CsOKcuQOlJa1RwdZ1Xehu7M0
DLwDfdp5ctHj5OCMw3HWhBBcmdgpkHtpTamOdREB9E6Wp+6cQSpOarI7Qm0hDFbO
w13m1N0AqmTuJqouU7KcmoILGsyeyRHMGowRynUE4kqQ9S5IS8NhZQ5UWckFx7Vo
mlgYk+ekq69vg3osiQtD8HRubYxpa3KUy5NRrSPqoDgleiSEFklJkB+FpBdd7A7B
9COob0HXr44OV6wrPs+JHK4FsJQVUx2/EU1K2LGZZTbe8MdolI1fUbsSRRtTh6uh
n+xiO3R2
-----END CERTIFICATE-----
-----BEGIN CERTIFICATE-----
MIIDUDCCAjigAwIBAgIIFAGs3xOW6bUwDQYJKoZIhvcNAQELBQAwIDEeMBwGA1UE
AxMVUGViYmxlIFJvb3QgQ0EgMDMxMmIyMCAXDTI2MTEyOTE3MDM0OFoYDzIwNTYx
MTI5MTcwMzQ4WjAoMSYwJAYDVQQDEx1QZWJibGUgSW50ZXJtZWRpYXRlIENBIDZl
NTgzMTCCASIwDQYJKoZIhvcNAQEBBQADggEPADCCAQoCggEBAK5KrwZWgfJANikI
s3dGimbXcn+lKOdED2M8piytkbLIh7YVTm7MSnNSNYIJygZgsQuxXS12WuaQa5XG
a+/iDgqHD3WgQc3xDyFJn7ln+Oh4ZrwJQ8dzMPccVaZoHCOh97CW1oWKRo+uHZgI
1KYRfe0uMOA7OQR2Ngyh34qZIFADZLRPHE30vSCDsColZokzbTSUPttV3gBYXi4m
j+XPx47SQImD3alIWwX9sjG0SaxmFWxwBScZuoICrl8M7x0g0c2hYZK6xkJFcp/8
SDdsu47pPho0Wxuz9ZSRFSSlAujmQoNeoS4EdOD13QVbrqRX331UBB9EqrtE2LIF
G4C9JA0CAwEAAaOBgzCBgDAOBgNVHQ8BAf8EBAMCAoQwHQYDVR0lBBYwFAYIKwYB
BQUHAwEGCCsGAQUFBwMCMA8GA1UdEwEB/wQFMAMBAf8wHQYDVR0OBBYEFNZ8NAme
JOMKkjqCeLVeIHHqrgsFMB8GA1UdIwQYMBaAFDtx0c7XlH5bjYBHvBkgGQWvsPQp
MA0GCSqGSIb3DQEBCwUAA4IBAQChGlJO5Ccnc2fw+cDUxb5mhh6JKidu2BjFcv1W
2Lg7QQxY/puMJ9vFS1nlJvm77OL4Lsgc7eVBl1aCM2eVTGiT7GdbPHH1V0ch18Rh
crDRgr9m0NNObU9w/GZB6pSst/cuHy6tOU1HbhyPvInUjL99hUFLAHWOL/NIjJik
F2giDmbKwCDSI5PFdgP1JpTUcglOv6qPf42v85AOLOD89Tvs5d5OgfdfX0zAeuyj
A0C5EjBdlYr66sbT5S+tsKi8xFNCAdGr4ul/3rf48i43AUpQ7O952K6tPpfRu3iE
hO4dBdBXjDLMHV+T/+GjvYdnahFUE+LhzGuIy2HVSAoR6ap1
-----END CERTIFICATE-----
', '\x01056669727374521b1add68c3c1dd52d091999872186806a8eaef01e65c153fb93e7b3cfec629356e0a6ff0dee0e7de86ff28b0c4956ee5c7dd0c85ab2fbe6f7402aeac5223702732676b7c22618260bc541be15afa59a3bda678490fa3e44332722dbdd4d7e700ea66ca46baabd3bc83e0f7498ec6bb93e174629a27f74eaa3dab6db3b8089d58df67518a3e1bce1d36d2323522816f9194dac72e39cb108bdbf48e7ce678bb0db35b3f1eb3eb8a8200e0f066504641f7818821bf89841edfd33c9ba38ea16c3e46b2cf0be889fb1dc83b3fb75ceb220d7e99355f704481190c42c759474e3b707478551da02639095dfff13f803ecfa11a4572a40e1ddbeae258d28b09b29cf6fffbd774454a25f0898eed3a8d627171032285eed3fc92e889fc88b190e6b03a4c98c795126e5a90bc9774903d1984f5092eccd67c1590afe4487dc2f6e9881d0bd2defddf34c0a5', '1nw0CZ4k4wqSOoJ4tV4gcequCwU.bsQsXSfZTmU', 1795971829522702);
INSERT INTO public.certificates VALUES ('01a22843-4f25-7d62-b6d8-5215780f1e40', '01a22843-4d80-7932-b976-a8dd8acec382', '01a22843-4e96-7ffe-a464-c4f86bd1c86f', 'live.upgrade.test', 1795971829541419, 'f3f185525fcb0bd37bedec53db54a33f832bdc61e1eb2a29130d1f98d6cc68ef', '4890b770ca1165cf', 1795971829000000, 2426691828000000, '-----BEGIN CERTIFICATE-----
MIICmjCCAYKgAwIBAgIISJC3cMoRZc8wDQYJKoZIhvcNAQELBQAwKDEmMCQGA1UE
AxMdUGViYmxlIEludGVybWVkaWF0ZSBDQSA2ZTU4MzEwHhcNMjYxMTI5MTcwMzQ5
WhcNNDYxMTI0MTcwMzQ4WjAcMRowGAYDVQQDExFsaXZlLnVwZ3JhZGUudGVzdDBZ
MBMGByqGSM49AgEGCCqGSM49AwEHA0IABLqtJa5rk33rqaDh73SkyB9KsjiOr+7G
gzaOj7yajidPwPshjUoReCccuR7jHjcUacOQtcglB/xQ0dg/1dXGTXejgZ4wgZsw
DgYDVR0PAQH/BAQDAgWgMB0GA1UdJQQWMBQGCCsGAQUFBwMBBggrBgEFBQcDAjAM
BgNVHRMBAf8EAjAAMB0GA1UdDgQWBBTbTv5kpJspf5SRdFapYngMFvNz/TAfBgNV
HSMEGDAWgBTWfDQJniTjCpI6gni1XiBx6q4LBTAcBgNVHREEFTATghFsaXZlLnVw
Z3JhZGUudGVzdDANBgkqhkiG9w0BAQsFAAOCAQEAU/8AqQW6kxTH0yyHGZUdiVYl
mtkE0/LvQIGNxwWA1kt4YdTgZXfPvzpYugqPpCBMdv00D//BsMBfr/hYGm009EPJ
DP8WAj7FQgMFlf+RqyUN1hJAVI2ZhI8VZPP9k4Zu5W3I7All5PEgF1G0gxbxuADM
pjz9WxzQfX2iZ9GiZi1D/zX2oI2SqNS8CQ8HJ4i8eKuzhnHuacwzFJcbNUknjdLQ
qdGd7drrJplfumoEyTbkkodhRy36Mv/DyrIPvlV2U6Lx0+N5AdmSoA4n7o2hLDUb
+6ugYH6GK/xuXLAIo7bMsX/PsdxOcgFWc+RssRA0lqjCPVfts/b//VLxGjKDpw==
-----END CERTIFICATE-----
-----BEGIN CERTIFICATE-----
MIIDUDCCAjigAwIBAgIIFAGs3xOW6bUwDQYJKoZIhvcNAQELBQAwIDEeMBwGA1UE
AxMVUGViYmxlIFJvb3QgQ0EgMDMxMmIyMCAXDTI2MTEyOTE3MDM0OFoYDzIwNTYx
MTI5MTcwMzQ4WjAoMSYwJAYDVQQDEx1QZWJibGUgSW50ZXJtZWRpYXRlIENBIDZl
NTgzMTCCASIwDQYJKoZIhvcNAQEBBQADggEPADCCAQoCggEBAK5KrwZWgfJANikI
s3dGimbXcn+lKOdED2M8piytkbLIh7YVTm7MSnNSNYIJygZgsQuxXS12WuaQa5XG
a+/iDgqHD3WgQc3xDyFJn7ln+Oh4ZrwJQ8dzMPccVaZoHCOh97CW1oWKRo+uHZgI
1KYRfe0uMOA7OQR2Ngyh34qZIFADZLRPHE30vSCDsColZokzbTSUPttV3gBYXi4m
j+XPx47SQImD3alIWwX9sjG0SaxmFWxwBScZuoICrl8M7x0g0c2hYZK6xkJFcp/8
SDdsu47pPho0Wxuz9ZSRFSSlAujmQoNeoS4EdOD13QVbrqRX331UBB9EqrtE2LIF
G4C9JA0CAwEAAaOBgzCBgDAOBgNVHQ8BAf8EBAMCAoQwHQYDVR0lBBYwFAYIKwYB
BQUHAwEGCCsGAQUFBwMCMA8GA1UdEwEB/wQFMAMBAf8wHQYDVR0OBBYEFNZ8NAme
JOMKkjqCeLVeIHHqrgsFMB8GA1UdIwQYMBaAFDtx0c7XlH5bjYBHvBkgGQWvsPQp
MA0GCSqGSIb3DQEBCwUAA4IBAQChGlJO5Ccnc2fw+cDUxb5mhh6JKidu2BjFcv1W
2Lg7QQxY/puMJ9vFS1nlJvm77OL4Lsgc7eVBl1aCM2eVTGiT7GdbPHH1V0ch18Rh
crDRgr9m0NNObU9w/GZB6pSst/cuHy6tOU1HbhyPvInUjL99hUFLAHWOL/NIjJik
F2giDmbKwCDSI5PFdgP1JpTUcglOv6qPf42v85AOLOD89Tvs5d5OgfdfX0zAeuyj
A0C5EjBdlYr66sbT5S+tsKi8xFNCAdGr4ul/3rf48i43AUpQ7O952K6tPpfRu3iE
hO4dBdBXjDLMHV+T/+GjvYdnahFUE+LhzGuIy2HVSAoR6ap1
-----END CERTIFICATE-----
', '\x0105666972737409921ead40d675a7e7a0ace8984abfb1b3210e1e3f3e3fbcd92d8fd6af9b0293f4a136ad2082661f32fe2b3ddc75d7ed72b7c000bed6b266279d0ff2bc174c32e7c2f3568e22c7b23ddb4380ca68fcf25f722ea294836c82db53f27b567a976c5d7fd6e5b69fe38ac6621c8960551e6a8f8e41ff1920cd236d59f3a93e11cf1f567acbd5adbcc9250a1a03b696cd5b61fa2c4c3841d96259c83afbad3730bcc1f400d53bee400c511e8253ce1ea7653516ee67a0b67fedce6188920a7459d2ba05a87fba673241a14adb5cd4d90fa074d2aaa003a54a56d7628a528676682efb696913d4b1837429fa7f339b6bd2dc49218bcdb8567c145ef5ad63edca702f451ab9eed5ac4a9ee90714b0ecc9cda51ad5a452200c2536af621b17e9af5904e7ec8fe4223290e80cda836b77da33b80a7b7870fdae6637a1d2a8b6d47f0e81bde486ad3b976b1b9b03', '1nw0CZ4k4wqSOoJ4tV4gcequCwU.SJC3cMoRZc8', 1795971829541419);
INSERT INTO public.certificates VALUES ('01a22843-4f13-7150-99cd-d297cbebda26', '01a22843-4dbc-7c3b-8195-a0a5650f875c', '01a22843-4e84-731a-b27e-10f248a17423', 'removed.upgrade.test', 1795971829523729, 'c072d0815aad1218ce64382c9fb5757a1ebb51f8fef1ab4be539a9a5a335adb2', '325ef31105da9b26', 1795971829000000, 2426691828000000, '-----BEGIN CERTIFICATE-----
MIICoDCCAYigAwIBAgIIMl7zEQXamyYwDQYJKoZIhvcNAQELBQAwKDEmMCQGA1UE
AxMdUGViYmxlIEludGVybWVkaWF0ZSBDQSA2ZTU4MzEwHhcNMjYxMTI5MTcwMzQ5
WhcNNDYxMTI0MTcwMzQ4WjAfMR0wGwYDVQQDExRyZW1vdmVkLnVwZ3JhZGUudGVz
dDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABIo5J9+WJobma+OSQEZkCHeQ4w6R
crNqaLISUQdnJxvI2T4MYDoR1HafIkWmIVhTXnkB74nm9P8IDaxBdas4xXGjgaEw
gZ4wDgYDVR0PAQH/BAQDAgWgMB0GA1UdJQQWMBQGCCsGAQUFBwMBBggrBgEFBQcD
AjAMBgNVHRMBAf8EAjAAMB0GA1UdDgQWBBTY53OI5aW2OGBw/2HPAm8uX5ox0jAf
BgNVHSMEGDAWgBTWfDQJniTjCpI6gni1XiBx6q4LBTAfBgNVHREEGDAWghRyZW1v
dmVkLnVwZ3JhZGUudGVzdDANBgkqhkiG9w0BAQsFAAOCAQEAbQrH0zbSnGtHyAg+
jdYzEBifLI5uopGJcLd4W8DmhOUcFfQWYHpnbVOBuD2DJ5JO8BoPd3qOxTsilbgz
NK15iA+17noClnaQK8WzkDEc00gjrYunainA5XhontFlN7v2AArSkg/vlHeDjVX2
nxMJrGeKSdqpYOKP2TPWF0nrWToOyDGKJ1GjQA8DTi6b0Z4SvYRSk7g9g2DdkBAr
aL3eQVr8c5lqD8DBzLe+zSaR1y5owY4I1IxJxMwbznN980WL2V7e01GIaupFmq/W
GirOEuSj8jg3zIL4MB611P+F+X3t5zknSdAPvvcsz3xYOkXHtBiw4xNQ95y6HHNY
+ekAQg==
-----END CERTIFICATE-----
-----BEGIN CERTIFICATE-----
MIIDUDCCAjigAwIBAgIIFAGs3xOW6bUwDQYJKoZIhvcNAQELBQAwIDEeMBwGA1UE
AxMVUGViYmxlIFJvb3QgQ0EgMDMxMmIyMCAXDTI2MTEyOTE3MDM0OFoYDzIwNTYx
MTI5MTcwMzQ4WjAoMSYwJAYDVQQDEx1QZWJibGUgSW50ZXJtZWRpYXRlIENBIDZl
NTgzMTCCASIwDQYJKoZIhvcNAQEBBQADggEPADCCAQoCggEBAK5KrwZWgfJANikI
s3dGimbXcn+lKOdED2M8piytkbLIh7YVTm7MSnNSNYIJygZgsQuxXS12WuaQa5XG
a+/iDgqHD3WgQc3xDyFJn7ln+Oh4ZrwJQ8dzMPccVaZoHCOh97CW1oWKRo+uHZgI
1KYRfe0uMOA7OQR2Ngyh34qZIFADZLRPHE30vSCDsColZokzbTSUPttV3gBYXi4m
j+XPx47SQImD3alIWwX9sjG0SaxmFWxwBScZuoICrl8M7x0g0c2hYZK6xkJFcp/8
SDdsu47pPho0Wxuz9ZSRFSSlAujmQoNeoS4EdOD13QVbrqRX331UBB9EqrtE2LIF
G4C9JA0CAwEAAaOBgzCBgDAOBgNVHQ8BAf8EBAMCAoQwHQYDVR0lBBYwFAYIKwYB
BQUHAwEGCCsGAQUFBwMCMA8GA1UdEwEB/wQFMAMBAf8wHQYDVR0OBBYEFNZ8NAme
JOMKkjqCeLVeIHHqrgsFMB8GA1UdIwQYMBaAFDtx0c7XlH5bjYBHvBkgGQWvsPQp
MA0GCSqGSIb3DQEBCwUAA4IBAQChGlJO5Ccnc2fw+cDUxb5mhh6JKidu2BjFcv1W
2Lg7QQxY/puMJ9vFS1nlJvm77OL4Lsgc7eVBl1aCM2eVTGiT7GdbPHH1V0ch18Rh
crDRgr9m0NNObU9w/GZB6pSst/cuHy6tOU1HbhyPvInUjL99hUFLAHWOL/NIjJik
F2giDmbKwCDSI5PFdgP1JpTUcglOv6qPf42v85AOLOD89Tvs5d5OgfdfX0zAeuyj
A0C5EjBdlYr66sbT5S+tsKi8xFNCAdGr4ul/3rf48i43AUpQ7O952K6tPpfRu3iE
hO4dBdBXjDLMHV+T/+GjvYdnahFUE+LhzGuIy2HVSAoR6ap1
-----END CERTIFICATE-----
', '\x01056669727374684e3480cf9ca00658c500b2caa8e3e6bc97207a49367ef3f4732e11b08f738ea5ecfd9efd9aca4f80ffe6d50c84dc70f09e92cb8c5bcaa1ebaecbdb3ce0a16dbad39f2ff9617442e65f367a9e3a0dc094277798464cd456350b824c578f8178bb405fb6495d0646d9e7461192c256a488ac0368031348285757850480a43c59075268164ebf66bf47fc00ee815cd0a73e1918fc52ade0892ac3cfb47f7b99a8886f6126dbad9fb7dcefdc69fdb2c367d28972364ae9f01a24f8ab41017d449ca9be6605bf74cad7fa3ff20ddae6dc3957f3c63d7c0e848515bc4d164acaa23c46d80b6642aea06d7d5c8dd93960f44085e7bf14a29624e952032b55a647f12f910bb3c23ba575d18150322f3d1ea92e004dbb49cc5752e61cd0f9b115fb8e9a660d1653754659eff7c8e4714931d2473f36be1b05a4040ff45e36865bd192c4c28504994cf12b5814', '1nw0CZ4k4wqSOoJ4tV4gcequCwU.Ml7zEQXamyY', 1795971829523729);
INSERT INTO public.certificates VALUES ('01a22843-4f7c-7d79-aaa1-c6cc398ddbb6', '01a22843-4db8-70f1-9546-1b416e2143d1', '01a22843-4ea8-75d2-83c1-821e2981e543', 'moved.upgrade.test', 1795971829628190, '0e2b13ec9f126d55d98ec64040ec33647e5bb61d88c646a200dfd771d7ca22c6', '09f70e34258dbcb1', 1795971829000000, 2426691828000000, '-----BEGIN CERTIFICATE-----
MIICnDCCAYSgAwIBAgIICfcONCWNvLEwDQYJKoZIhvcNAQELBQAwKDEmMCQGA1UE
AxMdUGViYmxlIEludGVybWVkaWF0ZSBDQSA2ZTU4MzEwHhcNMjYxMTI5MTcwMzQ5
WhcNNDYxMTI0MTcwMzQ4WjAdMRswGQYDVQQDExJtb3ZlZC51cGdyYWRlLnRlc3Qw
WTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAATm/kOcGOr6sL7dO2oBlO6BaK8bdIE4
zXmk/VMA1EMqc3yl0xXXPSur3KTz4i4T0Ka8I+N+QHoqawzhmxHHoNn3o4GfMIGc
MA4GA1UdDwEB/wQEAwIFoDAdBgNVHSUEFjAUBggrBgEFBQcDAQYIKwYBBQUHAwIw
DAYDVR0TAQH/BAIwADAdBgNVHQ4EFgQU46X+UaH4nYzm+Zji+qDo10/gN9QwHwYD
VR0jBBgwFoAU1nw0CZ4k4wqSOoJ4tV4gcequCwUwHQYDVR0RBBYwFIISbW92ZWQu
dXBncmFkZS50ZXN0MA0GCSqGSIb3DQEBCwUAA4IBAQA53CGuquPGCcHr3+phSmcT
g0S+pABoSxJZMv79d1zyfw4cnWBmEbylt276r8b7+U6YJ9urOE2KSx6ceYE7C071
OexvlcHKweTDgAVPpEKkzUnOfH+NTb751xv5WbJuBBaf99mUssLhFkP+YFY3yVtj
15ZOEJr+Zh+fk6kZP24Z7DLtXTBWZ8JipgoiVOrFUgGhgeI+tqepTLQwLc56bqy1
ynaOzKdatj4q0UtVQMJ6/s2MX/cYLzrPliOHAR1yY4zHbdACCib1f+2gWx1AM3/Q
dtJ7fUBY4kdquZOZYanK+gtFVAiNXwSjBWY3+MlKUH+5A3jdS8Tj3jZUaq8hY5Bv
-----END CERTIFICATE-----
-----BEGIN CERTIFICATE-----
MIIDUDCCAjigAwIBAgIIFAGs3xOW6bUwDQYJKoZIhvcNAQELBQAwIDEeMBwGA1UE
AxMVUGViYmxlIFJvb3QgQ0EgMDMxMmIyMCAXDTI2MTEyOTE3MDM0OFoYDzIwNTYx
MTI5MTcwMzQ4WjAoMSYwJAYDVQQDEx1QZWJibGUgSW50ZXJtZWRpYXRlIENBIDZl
NTgzMTCCASIwDQYJKoZIhvcNAQEBBQADggEPADCCAQoCggEBAK5KrwZWgfJANikI
s3dGimbXcn+lKOdED2M8piytkbLIh7YVTm7MSnNSNYIJygZgsQuxXS12WuaQa5XG
a+/iDgqHD3WgQc3xDyFJn7ln+Oh4ZrwJQ8dzMPccVaZoHCOh97CW1oWKRo+uHZgI
1KYRfe0uMOA7OQR2Ngyh34qZIFADZLRPHE30vSCDsColZokzbTSUPttV3gBYXi4m
j+XPx47SQImD3alIWwX9sjG0SaxmFWxwBScZuoICrl8M7x0g0c2hYZK6xkJFcp/8
SDdsu47pPho0Wxuz9ZSRFSSlAujmQoNeoS4EdOD13QVbrqRX331UBB9EqrtE2LIF
G4C9JA0CAwEAAaOBgzCBgDAOBgNVHQ8BAf8EBAMCAoQwHQYDVR0lBBYwFAYIKwYB
BQUHAwEGCCsGAQUFBwMCMA8GA1UdEwEB/wQFMAMBAf8wHQYDVR0OBBYEFNZ8NAme
JOMKkjqCeLVeIHHqrgsFMB8GA1UdIwQYMBaAFDtx0c7XlH5bjYBHvBkgGQWvsPQp
MA0GCSqGSIb3DQEBCwUAA4IBAQChGlJO5Ccnc2fw+cDUxb5mhh6JKidu2BjFcv1W
2Lg7QQxY/puMJ9vFS1nlJvm77OL4Lsgc7eVBl1aCM2eVTGiT7GdbPHH1V0ch18Rh
crDRgr9m0NNObU9w/GZB6pSst/cuHy6tOU1HbhyPvInUjL99hUFLAHWOL/NIjJik
F2giDmbKwCDSI5PFdgP1JpTUcglOv6qPf42v85AOLOD89Tvs5d5OgfdfX0zAeuyj
A0C5EjBdlYr66sbT5S+tsKi8xFNCAdGr4ul/3rf48i43AUpQ7O952K6tPpfRu3iE
hO4dBdBXjDLMHV+T/+GjvYdnahFUE+LhzGuIy2HVSAoR6ap1
-----END CERTIFICATE-----
', '\x01056669727374298f5d86f7aba44549e70937304c2cc617422f247d36cee78efcc010826364dbcff363ce21ec480ff847029436d89da4b3bd1cfbdf544dcaec9c7605d2f0584fcbd461dc2c6d9f8e672b59d2f63b6806c68602fd08709e7bee19214f85fb8977f0c8344e3ca1c67503b69f2f7fe81f91314a6015b928e259a2b007f8ebb7e3841cab2217f5b28428c5cfcb238d07def8bd4ea006fade689f96132abcc2ab4bab1e73001e7601450398d3f97162ea33b6422e7ef487d63319dee881b17d4af9b578f95a65107f0ac54da72f81484c2222448adc159cd7e8e83eb9a4c3822a2d40f301a3a883f2c7c49d3680a0cde2a56889abac6269c5b8441eb85fa32833b16ade95c6ab24d3883b65b35133edcda133ed62227dc10864fbf72010e401090ed16f6ad751270077246c6045dcd5b64976c5ab798f354f69f5fcebc644eeefb2c442fe54f70be88458d1', '1nw0CZ4k4wqSOoJ4tV4gcequCwU.CfcONCWNvLE', 1795971829628190);
INSERT INTO public.certificates VALUES ('01a22843-570c-77c4-9d80-6f58992194a8', '01a22843-5610-7efd-8f8c-92c30873f106', '01a22843-569c-7dd6-ba70-1aad97dba805', 'certificate-saved.upgrade.test', 1795971831564233, '73eec8200332978cd3dc3fd9e3034130c7f9a1dad2188984111cb12872d93645', '1e24ea7317bd4b82', 1795971831000000, 2426691830000000, '-----BEGIN CERTIFICATE-----
MIICtDCCAZygAwIBAgIIHiTqcxe9S4IwDQYJKoZIhvcNAQELBQAwKDEmMCQGA1UE
AxMdUGViYmxlIEludGVybWVkaWF0ZSBDQSA2ZTU4MzEwHhcNMjYxMTI5MTcwMzUx
WhcNNDYxMTI0MTcwMzUwWjApMScwJQYDVQQDEx5jZXJ0aWZpY2F0ZS1zYXZlZC51
cGdyYWRlLnRlc3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAS0QoHC8BC4VYYQ
kaj0jOuoviewKMQOMWPqvm6vhnnQ63PwHaVzcmY9AApVWF4EOhL9Cm5tFKzliR1E
mlHuQDt/o4GrMIGoMA4GA1UdDwEB/wQEAwIFoDAdBgNVHSUEFjAUBggrBgEFBQcD
AQYIKwYBBQUHAwIwDAYDVR0TAQH/BAIwADAdBgNVHQ4EFgQUOP8ypGTUpq05yY+p
dA7G57JbRw0wHwYDVR0jBBgwFoAU1nw0CZ4k4wqSOoJ4tV4gcequCwUwKQYDVR0R
BCIwIIIeY2VydGlmaWNhdGUtc2F2ZWQudXBncmFkZS50ZXN0MA0GCSqGSIb3DQEB
CwUAA4IBAQA749+GF1pKGSbsd4uXuY0ZqUAb5vn4/OZ4PtKq2rNONcJxcJ5suglT
LSRVcYo/UBjGU9iBgouMJ6FirWdtosZ6bnLB915gOtQkPdqWJNoS29fdGJ8tJwyb
DrXvqGwlS2SH+ijNslHJl0hShUo0bE/pl6qNblispQrs8NO+q/KohmlYaLEhNY9C
h5NrdGzPuLEafJFiJFtDTX9uWM67IdpjXEc9AzUQ4osC43Dw1tkSZI1olxA4uyOG
Fq7fN2wP3Y9fMXFuHsB+FZCNhvJR9KObuc5E+1/tFI1j5B4uRmlw3YYDluPxNaGn
/RfLwEnJKwr1Rau075ODJgdboFlp7Rio
-----END CERTIFICATE-----
-----BEGIN CERTIFICATE-----
MIIDUDCCAjigAwIBAgIIFAGs3xOW6bUwDQYJKoZIhvcNAQELBQAwIDEeMBwGA1UE
AxMVUGViYmxlIFJvb3QgQ0EgMDMxMmIyMCAXDTI2MTEyOTE3MDM0OFoYDzIwNTYx
MTI5MTcwMzQ4WjAoMSYwJAYDVQQDEx1QZWJibGUgSW50ZXJtZWRpYXRlIENBIDZl
NTgzMTCCASIwDQYJKoZIhvcNAQEBBQADggEPADCCAQoCggEBAK5KrwZWgfJANikI
s3dGimbXcn+lKOdED2M8piytkbLIh7YVTm7MSnNSNYIJygZgsQuxXS12WuaQa5XG
a+/iDgqHD3WgQc3xDyFJn7ln+Oh4ZrwJQ8dzMPccVaZoHCOh97CW1oWKRo+uHZgI
1KYRfe0uMOA7OQR2Ngyh34qZIFADZLRPHE30vSCDsColZokzbTSUPttV3gBYXi4m
j+XPx47SQImD3alIWwX9sjG0SaxmFWxwBScZuoICrl8M7x0g0c2hYZK6xkJFcp/8
SDdsu47pPho0Wxuz9ZSRFSSlAujmQoNeoS4EdOD13QVbrqRX331UBB9EqrtE2LIF
G4C9JA0CAwEAAaOBgzCBgDAOBgNVHQ8BAf8EBAMCAoQwHQYDVR0lBBYwFAYIKwYB
BQUHAwEGCCsGAQUFBwMCMA8GA1UdEwEB/wQFMAMBAf8wHQYDVR0OBBYEFNZ8NAme
JOMKkjqCeLVeIHHqrgsFMB8GA1UdIwQYMBaAFDtx0c7XlH5bjYBHvBkgGQWvsPQp
MA0GCSqGSIb3DQEBCwUAA4IBAQChGlJO5Ccnc2fw+cDUxb5mhh6JKidu2BjFcv1W
2Lg7QQxY/puMJ9vFS1nlJvm77OL4Lsgc7eVBl1aCM2eVTGiT7GdbPHH1V0ch18Rh
crDRgr9m0NNObU9w/GZB6pSst/cuHy6tOU1HbhyPvInUjL99hUFLAHWOL/NIjJik
F2giDmbKwCDSI5PFdgP1JpTUcglOv6qPf42v85AOLOD89Tvs5d5OgfdfX0zAeuyj
A0C5EjBdlYr66sbT5S+tsKi8xFNCAdGr4ul/3rf48i43AUpQ7O952K6tPpfRu3iE
hO4dBdBXjDLMHV+T/+GjvYdnahFUE+LhzGuIy2HVSAoR6ap1
-----END CERTIFICATE-----
', '\x01056669727374ac8c45b21b841a0b9bdc5bfd062cdaf7f4df4c65642e7235d0bb5584bb908cdc7ef0cccee6e738b8b1123641a228584069b6f51998d1cf455186b2804ab0505bda5fcae2172a8b76b3a9979c168013dc3de2630708c35be83ad53f7732e37c596fe2a66fa70a3253fd25bc298b56813a3daa35f7f59d66031500409f96e3e5188794ae53741496ab1cdc77ef2c5305b0121811998aa6aada0b13d3f77c9af0cd26936a94f67ba46f57959aa464e8c9fc74562ee7d7595f1204c79ff82e996414f2c3c79a291334fbabbb0e310a64f206ba212c00ac7349dbc0483eb222505513d1efe5554da357ce5facb49e7cc2d21d990e24b5f12516b752eb24e1a488fccca4fb4e589b26bfc0ba449fd5da560b26c9402451068db013cdcb04659f5b735a85d5d9645afa2c85cecd072162de1650b5d01afba65b7ece71f81afa8e7d2b760d9ad2c38bfccc9364', '1nw0CZ4k4wqSOoJ4tV4gcequCwU.HiTqcxe9S4I', 1795971831564233);


--
-- Data for Name: chores; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.chores VALUES ('cabinet.resync', 1795986293508856, NULL, NULL, NULL);
INSERT INTO public.chores VALUES ('edge.compare http://127.0.0.1:17782', 1795971982336113, NULL, NULL, NULL);


--
-- Data for Name: cursors; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.cursors VALUES ('cabinet.changes', 'cb');


--
-- Data for Name: custom_domains; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.custom_domains VALUES ('01a22843-4d80-7932-b976-a8dd8acec382', 'tenant-1', 'live.upgrade.test', 'customers.platform.test', '{"live":{"serving":"01a22843-4f25-7d62-b6d8-5215780f1e40","notAfter":"2046-11-24T17:03:48Z","next":{"at":"2040-03-05T12:34:10.673698Z"}}}', 'recheck', 0, 1796058229659347, NULL, NULL, DEFAULT, 1795971829659347, 0, 0, NULL, 2426691828000000, 4, 10, 1795971829186889, 1795971829659347, 35, 2363619828100000, '01a22843-4f25-7d62-b6d8-5215780f1e40');
INSERT INTO public.custom_domains VALUES ('01a22843-4ff1-7287-ac74-2e556ce82640', 'tenant-1', 'shop.rejected.test', 'customers.platform.test', '"failed"', NULL, 1, NULL, NULL, NULL, DEFAULT, 1795971829776751, 0, 0, '{"code":"ACME_REJECTED_IDENTIFIER","detail":"Order included an identifier for which issuance is forbidden by policy: \"shop.rejected.test\""}', NULL, 4, 7, 1795971829751279, 1795971829795736, 35, NULL, NULL);
INSERT INTO public.custom_domains VALUES ('01a22843-4dbc-7c3b-8195-a0a5650f875c', 'tenant-1', 'removed.upgrade.test', 'customers.platform.test', '"gone"', 'removal', 0, 1798563829884642, NULL, NULL, DEFAULT, 1795971829884642, 0, 0, NULL, NULL, 6, 13, 1795971829220216, 1795971829884642, 35, 2363619828100000, NULL);
INSERT INTO public.custom_domains VALUES ('01a22843-4db8-70f1-9546-1b416e2143d1', 'tenant-1', 'moved.upgrade.test', 'customers.platform.test', '{"live":{"serving":"01a22843-4f7c-7d79-aaa1-c6cc398ddbb6","notAfter":"2046-11-24T17:03:48Z","next":{"now":"awaitingDns"}}}', 'renewal', 1, 1795972399932849, NULL, NULL, DEFAULT, 1795971829719345, 0, 0, '{"code":"DNS_MOVED","cause":{"code":"DNS_NO_CNAME","addresses":["192.0.2.9"]}}', 2426691828000000, 5, 13, 1795971829210228, 1795971829991444, 35, 2363619828100000, '01a22843-4f7c-7d79-aaa1-c6cc398ddbb6');
INSERT INTO public.custom_domains VALUES ('01a22843-5610-7efd-8f8c-92c30873f106', 'tenant-1', 'certificate-saved.upgrade.test', 'customers.platform.test', '{"onboarding":{"finalizing":{"order":"01a22843-569c-7dd6-ba70-1aad97dba805"}}}', 'issuance', 1, 1795971831548143, '01a22843-56fc-7956-ad4f-b232c5c23f7d', 1795971951548843, DEFAULT, 1795971831548143, 0, 0, NULL, NULL, 3, 7, 1795971831359709, 1795971831548143, 35, NULL, NULL);
INSERT INTO public.custom_domains VALUES ('01a22843-5040-7e58-a882-904c1510b173', 'tenant-2', 'pending.upgrade.test', 'customers.platform.test', '{"onboarding":"awaitingDns"}', 'chronic', 5, 1795971833759749, NULL, NULL, DEFAULT, 1795971829829368, 0, 0, '{"code":"DNS_WRONG_TARGET","chain":["old.elsewhere.test"],"addresses":["192.0.2.10"]}', NULL, 5, 10, 1795971829829368, 1795971832874245, 22, NULL, NULL);
INSERT INTO public.custom_domains VALUES ('01a22843-514b-7447-b8c8-2e889f3bd6bf', 'tenant-1', 'order-saved.upgrade.test', 'customers.platform.test', '{"onboarding":"ordering"}', 'issuance', 1, 1795971830204659, '01a22843-51c0-79c0-8e87-83b46a7e0f27', 1795971950212162, DEFAULT, 1795971830204659, 0, 0, NULL, NULL, 3, 5, 1795971830125027, 1795971830204659, 35, NULL, NULL);
INSERT INTO public.custom_domains VALUES ('01a22843-52f0-77f6-ba4e-bdd8c12d05d6', 'tenant-1', 'challenge-saved.upgrade.test', 'customers.platform.test', '{"onboarding":{"validating":{"order":"01a22843-536e-730e-97b5-d9127455e401"}}}', 'issuance', 1, 1795971830688378, '01a22843-53a0-7a39-811c-dc73ce1ab738', 1795971950689131, DEFAULT, 1795971830688378, 0, 0, NULL, NULL, 3, 6, 1795971830564922, 1795971830688378, 35, NULL, NULL);
INSERT INTO public.custom_domains VALUES ('01a22843-546b-7ff8-a787-cb09de2207cd', 'tenant-1', 'key-saved.upgrade.test', 'customers.platform.test', '{"onboarding":{"finalizing":{"order":"01a22843-54e6-7bba-a584-1629e6192180"}}}', 'issuance', 1, 1795971831109712, '01a22843-5545-72ab-a51f-b64710f7a487', 1795971951110350, DEFAULT, 1795971831109712, 0, 0, NULL, NULL, 3, 7, 1795971830937437, 1795971831109712, 35, NULL, NULL);
INSERT INTO public.custom_domains VALUES ('01a22843-4dc2-7b0e-ba67-9f753446ffb8', 'tenant-1', 'renewing.upgrade.test', 'customers.platform.test', '{"live":{"serving":"01a22843-4f12-7447-84eb-efbb64186abc","notAfter":"2046-11-24T17:03:48Z","next":{"now":{"finalizing":{"order":"01a22843-586d-7751-b82b-fcbbc8f2066c"}}}}}', 'renewal', 1, 1795971832010074, '01a22843-58ca-7071-afa6-73d6342f8183', 1795971952010877, DEFAULT, 1795971832010074, 0, 0, NULL, 2426691828000000, 4, 14, 1795971829207232, 1795971832010074, 35, 2363619828100000, '01a22843-4f12-7447-84eb-efbb64186abc');


--
-- Data for Name: domain_events; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.domain_events VALUES ('01a22843-4d80-7932-b976-a8dd8acec382', 1, 1795971829186889, 'domain.taken_in', 'awaitingDns', '{"cabinetStatus":"PendingDns"}', NULL, 'replica-cce944');
INSERT INTO public.domain_events VALUES ('01a22843-4d80-7932-b976-a8dd8acec382', 2, 1795971829199865, 'dns.ready', 'awaitingHttpProbe', '{"addresses":["127.0.0.1"],"resolvers":[{"answer":["127.0.0.1"],"chain":["customers.platform.test"],"resolver":"127.0.0.1:55083"},{"answer":["127.0.0.1"],"chain":["customers.platform.test"],"resolver":"127.0.0.1:35666"}]}', 2765, 'replica-cce944');
INSERT INTO public.domain_events VALUES ('01a22843-4db8-70f1-9546-1b416e2143d1', 1, 1795971829210228, 'domain.taken_in', 'awaitingDns', '{"cabinetStatus":"PendingDns"}', NULL, 'replica-cce944');
INSERT INTO public.domain_events VALUES ('01a22843-4dbc-7c3b-8195-a0a5650f875c', 1, 1795971829220216, 'domain.taken_in', 'awaitingDns', '{"cabinetStatus":"PendingDns"}', NULL, 'replica-cce944');
INSERT INTO public.domain_events VALUES ('01a22843-4dc2-7b0e-ba67-9f753446ffb8', 1, 1795971829207232, 'domain.taken_in', 'awaitingDns', '{"cabinetStatus":"PendingDns"}', NULL, 'replica-cce944');
INSERT INTO public.domain_events VALUES ('01a22843-4dbc-7c3b-8195-a0a5650f875c', 2, 1795971829254451, 'dns.ready', 'awaitingHttpProbe', '{"addresses":["127.0.0.1"],"resolvers":[{"answer":["127.0.0.1"],"chain":["customers.platform.test"],"resolver":"127.0.0.1:55083"},{"answer":["127.0.0.1"],"chain":["customers.platform.test"],"resolver":"127.0.0.1:35666"}]}', 4347, 'replica-cce944');
INSERT INTO public.domain_events VALUES ('01a22843-4dc2-7b0e-ba67-9f753446ffb8', 2, 1795971829255113, 'dns.ready', 'awaitingHttpProbe', '{"addresses":["127.0.0.1"],"resolvers":[{"answer":["127.0.0.1"],"chain":["customers.platform.test"],"resolver":"127.0.0.1:55083"},{"answer":["127.0.0.1"],"chain":["customers.platform.test"],"resolver":"127.0.0.1:35666"}]}', 4698, 'replica-cce944');
INSERT INTO public.domain_events VALUES ('01a22843-4db8-70f1-9546-1b416e2143d1', 2, 1795971829254754, 'dns.ready', 'awaitingHttpProbe', '{"addresses":["127.0.0.1"],"resolvers":[{"answer":["127.0.0.1"],"chain":["customers.platform.test"],"resolver":"127.0.0.1:55083"},{"answer":["127.0.0.1"],"chain":["customers.platform.test"],"resolver":"127.0.0.1:35666"}]}', 3846, 'replica-cce944');
INSERT INTO public.domain_events VALUES ('01a22843-4d80-7932-b976-a8dd8acec382', 3, 1795971829245428, 'http.ready', 'ordering', '{"addresses":["127.0.0.1"],"probes":[{"address":"127.0.0.1","answer":"ours"}],"resolvers":[{"answer":["127.0.0.1"],"chain":["customers.platform.test"],"resolver":"127.0.0.1:55083"},{"answer":["127.0.0.1"],"chain":["customers.platform.test"],"resolver":"127.0.0.1:35666"}]}', 30688, 'replica-cce944');
INSERT INTO public.domain_events VALUES ('01a22843-4dbc-7c3b-8195-a0a5650f875c', 3, 1795971829278594, 'http.ready', 'ordering', '{"addresses":["127.0.0.1"],"probes":[{"address":"127.0.0.1","answer":"ours"}],"resolvers":[{"answer":["127.0.0.1"],"chain":["customers.platform.test"],"resolver":"127.0.0.1:55083"},{"answer":["127.0.0.1"],"chain":["customers.platform.test"],"resolver":"127.0.0.1:35666"}]}', 15548, 'replica-cce944');
INSERT INTO public.domain_events VALUES ('01a22843-4dc2-7b0e-ba67-9f753446ffb8', 3, 1795971829277093, 'http.ready', 'ordering', '{"addresses":["127.0.0.1"],"probes":[{"address":"127.0.0.1","answer":"ours"}],"resolvers":[{"answer":["127.0.0.1"],"chain":["customers.platform.test"],"resolver":"127.0.0.1:55083"},{"answer":["127.0.0.1"],"chain":["customers.platform.test"],"resolver":"127.0.0.1:35666"}]}', 14649, 'replica-cce944');
INSERT INTO public.domain_events VALUES ('01a22843-4db8-70f1-9546-1b416e2143d1', 3, 1795971829288767, 'http.ready', 'ordering', '{"addresses":["127.0.0.1"],"probes":[{"address":"127.0.0.1","answer":"ours"}],"resolvers":[{"answer":["127.0.0.1"],"chain":["customers.platform.test"],"resolver":"127.0.0.1:55083"},{"answer":["127.0.0.1"],"chain":["customers.platform.test"],"resolver":"127.0.0.1:35666"}]}', 16368, 'replica-cce944');
INSERT INTO public.domain_events VALUES ('01a22843-4dbc-7c3b-8195-a0a5650f875c', 4, 1795971829393427, 'order.placed', 'validating', '{"orderUrl":"https://127.0.0.1:32877/my-order/9b4kHxSwcnVtL2UkM5ur3dJEthQdVhZP2BL9oAJVU78"}', 102952, 'replica-cce944');
INSERT INTO public.domain_events VALUES ('01a22843-4dc2-7b0e-ba67-9f753446ffb8', 4, 1795971829397878, 'order.placed', 'validating', '{"orderUrl":"https://127.0.0.1:32877/my-order/k3IZi7UmXOoU9mKgbtwGSKdpjfsSepNRsMtvirJpV8M"}', 26616, 'replica-cce944');
INSERT INTO public.domain_events VALUES ('01a22843-4d80-7932-b976-a8dd8acec382', 4, 1795971829409545, 'order.placed', 'validating', '{"orderUrl":"https://127.0.0.1:32877/my-order/hXG_DmDIit4WHdKUJZSB-h4PNo_o3AOUOt6Ybjasllg"}', 118996, 'replica-cce944');
INSERT INTO public.domain_events VALUES ('01a22843-4db8-70f1-9546-1b416e2143d1', 4, 1795971829441030, 'order.placed', 'validating', '{"orderUrl":"https://127.0.0.1:32877/my-order/P79N-U0IS6vlykaof0ojYNgxSdRjQXH095a_3HKU3VA"}', 43382, 'replica-cce944');
INSERT INTO public.domain_events VALUES ('01a22843-4dbc-7c3b-8195-a0a5650f875c', 5, 1795971829486069, 'order.ready', 'finalizing', '{"challengeUrl":"https://127.0.0.1:32877/chalZ/0R8DRzkWIWkBzZlKmqSif0Y8ck5DwbUgpOJyKZTW8xg","orderUrl":"https://127.0.0.1:32877/my-order/9b4kHxSwcnVtL2UkM5ur3dJEthQdVhZP2BL9oAJVU78"}', 89064, 'replica-cce944');
INSERT INTO public.domain_events VALUES ('01a22843-4dc2-7b0e-ba67-9f753446ffb8', 5, 1795971829487503, 'order.ready', 'finalizing', '{"challengeUrl":"https://127.0.0.1:32877/chalZ/aipgopYiVTH6fqFc0e5swF0A8EE3BoOi4G7-W1aErpc","orderUrl":"https://127.0.0.1:32877/my-order/k3IZi7UmXOoU9mKgbtwGSKdpjfsSepNRsMtvirJpV8M"}', 81157, 'replica-cce944');
INSERT INTO public.domain_events VALUES ('01a22843-4d80-7932-b976-a8dd8acec382', 5, 1795971829484361, 'order.ready', 'finalizing', '{"challengeUrl":"https://127.0.0.1:32877/chalZ/7mWYkYQdg9SZlI49cH-RkcH2RpjLbHuawARzfz7oVhs","orderUrl":"https://127.0.0.1:32877/my-order/hXG_DmDIit4WHdKUJZSB-h4PNo_o3AOUOt6Ybjasllg"}', 71072, 'replica-cce944');
INSERT INTO public.domain_events VALUES ('01a22843-4dc2-7b0e-ba67-9f753446ffb8', 6, 1795971829542328, 'certificate.stored', 'deploying', '{"fingerprint":"2bfe448dfbae67cb48ef5cb51ff1abb6a6eedb8cdbf815c2c437377b4edd3b58","notAfter":"2046-11-24T17:03:48Z","orderUrl":"https://127.0.0.1:32877/my-order/k3IZi7UmXOoU9mKgbtwGSKdpjfsSepNRsMtvirJpV8M","serial":"6ec42c5d27d94e65"}', 47669, 'replica-cce944');
INSERT INTO public.domain_events VALUES ('01a22843-4db8-70f1-9546-1b416e2143d1', 5, 1795971829545223, 'order.ready', 'finalizing', '{"challengeUrl":"https://127.0.0.1:32877/chalZ/ZL2UhNiO-Tyx6lamp8XATT0o5pBGXC8UR-gZ2PmsOf4","orderUrl":"https://127.0.0.1:32877/my-order/P79N-U0IS6vlykaof0ojYNgxSdRjQXH095a_3HKU3VA"}', 97461, 'replica-cce944');
INSERT INTO public.domain_events VALUES ('01a22843-4dbc-7c3b-8195-a0a5650f875c', 6, 1795971829549845, 'certificate.stored', 'deploying', '{"fingerprint":"c072d0815aad1218ce64382c9fb5757a1ebb51f8fef1ab4be539a9a5a335adb2","notAfter":"2046-11-24T17:03:48Z","orderUrl":"https://127.0.0.1:32877/my-order/9b4kHxSwcnVtL2UkM5ur3dJEthQdVhZP2BL9oAJVU78","serial":"325ef31105da9b26"}', 55987, 'replica-cce944');
INSERT INTO public.domain_events VALUES ('01a22843-4d80-7932-b976-a8dd8acec382', 6, 1795971829549313, 'certificate.stored', 'deploying', '{"fingerprint":"f3f185525fcb0bd37bedec53db54a33f832bdc61e1eb2a29130d1f98d6cc68ef","notAfter":"2046-11-24T17:03:48Z","orderUrl":"https://127.0.0.1:32877/my-order/hXG_DmDIit4WHdKUJZSB-h4PNo_o3AOUOt6Ybjasllg","serial":"4890b770ca1165cf"}', 55119, 'replica-cce944');
INSERT INTO public.domain_events VALUES ('01a22843-4dc2-7b0e-ba67-9f753446ffb8', 7, 1795971829591433, 'deployed', 'live', '{"edges":["http://127.0.0.1:17782"],"fingerprint":"2bfe448dfbae67cb48ef5cb51ff1abb6a6eedb8cdbf815c2c437377b4edd3b58","renewAt":"2040-01-27T02:59:57.040208Z"}', 42586, 'replica-cce944');
INSERT INTO public.domain_events VALUES ('01a22843-4dbc-7c3b-8195-a0a5650f875c', 7, 1795971829596023, 'deployed', 'live', '{"edges":["http://127.0.0.1:17782"],"fingerprint":"c072d0815aad1218ce64382c9fb5757a1ebb51f8fef1ab4be539a9a5a335adb2","renewAt":"2040-02-04T00:30:17.727299Z"}', 37944, 'replica-cce944');
INSERT INTO public.domain_events VALUES ('01a22843-4d80-7932-b976-a8dd8acec382', 7, 1795971829659347, 'deployed', 'live', '{"edges":["http://127.0.0.1:17782"],"fingerprint":"f3f185525fcb0bd37bedec53db54a33f832bdc61e1eb2a29130d1f98d6cc68ef","renewAt":"2040-03-05T12:34:10.673698Z"}', 66110, 'replica-cce944');
INSERT INTO public.domain_events VALUES ('01a22843-4ff1-7287-ac74-2e556ce82640', 1, 1795971829751279, 'domain.taken_in', 'awaitingDns', '{"cabinetStatus":"PendingDns"}', NULL, 'replica-cce944');
INSERT INTO public.domain_events VALUES ('01a22843-4db8-70f1-9546-1b416e2143d1', 6, 1795971829661282, 'certificate.stored', 'deploying', '{"fingerprint":"0e2b13ec9f126d55d98ec64040ec33647e5bb61d88c646a200dfd771d7ca22c6","notAfter":"2046-11-24T17:03:48Z","orderUrl":"https://127.0.0.1:32877/my-order/P79N-U0IS6vlykaof0ojYNgxSdRjQXH095a_3HKU3VA","serial":"09f70e34258dbcb1"}', 98846, 'replica-cce944');
INSERT INTO public.domain_events VALUES ('01a22843-5040-7e58-a882-904c1510b173', 2, 1795971829836407, 'dns_nxdomain', 'awaitingDns', '{"code":"DNS_NXDOMAIN","resolvers":[{"answer":"does not exist","chain":[],"resolver":"127.0.0.1:55083"},{"answer":"does not exist","chain":[],"resolver":"127.0.0.1:35666"}]}', 3748, 'replica-cce944');
INSERT INTO public.domain_events VALUES ('01a22843-4db8-70f1-9546-1b416e2143d1', 7, 1795971829719345, 'deployed', 'live', '{"edges":["http://127.0.0.1:17782"],"fingerprint":"0e2b13ec9f126d55d98ec64040ec33647e5bb61d88c646a200dfd771d7ca22c6","renewAt":"2040-01-04T13:01:30.579373Z"}', 48824, 'replica-cce944');
INSERT INTO public.domain_events VALUES ('01a22843-4ff1-7287-ac74-2e556ce82640', 4, 1795971829795736, 'acme_rejected_identifier', 'failed', '{"code":"ACME_REJECTED_IDENTIFIER","detail":"Order included an identifier for which issuance is forbidden by policy: \"shop.rejected.test\""}', 14022, 'replica-cce944');
INSERT INTO public.domain_events VALUES ('01a22843-4ff1-7287-ac74-2e556ce82640', 2, 1795971829757841, 'dns.ready', 'awaitingHttpProbe', '{"addresses":["127.0.0.1"],"resolvers":[{"answer":["127.0.0.1"],"chain":["customers.platform.test"],"resolver":"127.0.0.1:55083"},{"answer":["127.0.0.1"],"chain":["customers.platform.test"],"resolver":"127.0.0.1:35666"}]}', 3007, 'replica-cce944');
INSERT INTO public.domain_events VALUES ('01a22843-5040-7e58-a882-904c1510b173', 1, 1795971829829368, 'domain.taken_in', 'awaitingDns', '{"cabinetStatus":"PendingDns"}', NULL, 'replica-cce944');
INSERT INTO public.domain_events VALUES ('01a22843-4ff1-7287-ac74-2e556ce82640', 3, 1795971829776751, 'http.ready', 'ordering', '{"addresses":["127.0.0.1"],"probes":[{"address":"127.0.0.1","answer":"ours"}],"resolvers":[{"answer":["127.0.0.1"],"chain":["customers.platform.test"],"resolver":"127.0.0.1:55083"},{"answer":["127.0.0.1"],"chain":["customers.platform.test"],"resolver":"127.0.0.1:35666"}]}', 11551, 'replica-cce944');
INSERT INTO public.domain_events VALUES ('01a22843-4dbc-7c3b-8195-a0a5650f875c', 8, 1795971829857488, 'removal.requested', 'leaving', '{"cabinetStatus":"PendingRemoval","cabinetVersion":5,"cnameTarget":"customers.platform.test"}', NULL, 'replica-cce944');
INSERT INTO public.domain_events VALUES ('01a22843-4dbc-7c3b-8195-a0a5650f875c', 9, 1795971829884642, 'undeployed', 'gone', '{"edges":["http://127.0.0.1:17782"]}', 15690, 'replica-cce944');
INSERT INTO public.domain_events VALUES ('01a22843-4db8-70f1-9546-1b416e2143d1', 8, 1795971829946550, 'renewal.requested', 'renewing', '{}', NULL, 'operator@replica');
INSERT INTO public.domain_events VALUES ('01a22843-4db8-70f1-9546-1b416e2143d1', 9, 1795971829991444, 'dns_moved', 'renewing', '{"cause":{"addresses":["192.0.2.9"],"code":"DNS_NO_CNAME"},"code":"DNS_MOVED","resolvers":[{"answer":["192.0.2.9"],"chain":[],"resolver":"127.0.0.1:55083"},{"answer":["192.0.2.9"],"chain":[],"resolver":"127.0.0.1:35666"}]}', 5528, 'replica-cce944');
INSERT INTO public.domain_events VALUES ('01a22843-514b-7447-b8c8-2e889f3bd6bf', 1, 1795971830125027, 'domain.taken_in', 'awaitingDns', '{"cabinetStatus":"PendingDns"}', NULL, 'replica-182d00');
INSERT INTO public.domain_events VALUES ('01a22843-5040-7e58-a882-904c1510b173', 3, 1795971830140328, 'dns_nxdomain', 'awaitingDns', '{"code":"DNS_NXDOMAIN","resolvers":[{"answer":"does not exist","chain":[],"resolver":"127.0.0.1:55083"},{"answer":"does not exist","chain":[],"resolver":"127.0.0.1:35666"}]}', 2715, 'replica-182d00');
INSERT INTO public.domain_events VALUES ('01a22843-514b-7447-b8c8-2e889f3bd6bf', 2, 1795971830151815, 'dns.ready', 'awaitingHttpProbe', '{"addresses":["127.0.0.1"],"resolvers":[{"answer":["127.0.0.1"],"chain":["customers.platform.test"],"resolver":"127.0.0.1:55083"},{"answer":["127.0.0.1"],"chain":["customers.platform.test"],"resolver":"127.0.0.1:35666"}]}', 2711, 'replica-182d00');
INSERT INTO public.domain_events VALUES ('01a22843-514b-7447-b8c8-2e889f3bd6bf', 3, 1795971830204659, 'http.ready', 'ordering', '{"addresses":["127.0.0.1"],"probes":[{"address":"127.0.0.1","answer":"ours"}],"resolvers":[{"answer":["127.0.0.1"],"chain":["customers.platform.test"],"resolver":"127.0.0.1:55083"},{"answer":["127.0.0.1"],"chain":["customers.platform.test"],"resolver":"127.0.0.1:35666"}]}', 7750, 'replica-182d00');
INSERT INTO public.domain_events VALUES ('01a22843-52f0-77f6-ba4e-bdd8c12d05d6', 1, 1795971830564922, 'domain.taken_in', 'awaitingDns', '{"cabinetStatus":"PendingDns"}', NULL, 'replica-5963be');
INSERT INTO public.domain_events VALUES ('01a22843-52f0-77f6-ba4e-bdd8c12d05d6', 2, 1795971830584253, 'dns.ready', 'awaitingHttpProbe', '{"addresses":["127.0.0.1"],"resolvers":[{"answer":["127.0.0.1"],"chain":["customers.platform.test"],"resolver":"127.0.0.1:55083"},{"answer":["127.0.0.1"],"chain":["customers.platform.test"],"resolver":"127.0.0.1:35666"}]}', 2458, 'replica-5963be');
INSERT INTO public.domain_events VALUES ('01a22843-52f0-77f6-ba4e-bdd8c12d05d6', 3, 1795971830609169, 'http.ready', 'ordering', '{"addresses":["127.0.0.1"],"probes":[{"address":"127.0.0.1","answer":"ours"}],"resolvers":[{"answer":["127.0.0.1"],"chain":["customers.platform.test"],"resolver":"127.0.0.1:55083"},{"answer":["127.0.0.1"],"chain":["customers.platform.test"],"resolver":"127.0.0.1:35666"}]}', 16609, 'replica-5963be');
INSERT INTO public.domain_events VALUES ('01a22843-5040-7e58-a882-904c1510b173', 4, 1795971830619418, 'dns_nxdomain', 'awaitingDns', '{"code":"DNS_NXDOMAIN","resolvers":[{"answer":"does not exist","chain":[],"resolver":"127.0.0.1:55083"},{"answer":"does not exist","chain":[],"resolver":"127.0.0.1:35666"}]}', 4832, 'replica-5963be');
INSERT INTO public.domain_events VALUES ('01a22843-52f0-77f6-ba4e-bdd8c12d05d6', 4, 1795971830688378, 'order.placed', 'validating', '{"orderUrl":"https://127.0.0.1:32877/my-order/CiDnaGyJJc_I5HUGzrH36pHGH1NDIEfkIQWy6Gm7CFQ"}', 65851, 'replica-5963be');
INSERT INTO public.domain_events VALUES ('01a22843-546b-7ff8-a787-cb09de2207cd', 1, 1795971830937437, 'domain.taken_in', 'awaitingDns', '{"cabinetStatus":"PendingDns"}', NULL, 'replica-d3dba5');
INSERT INTO public.domain_events VALUES ('01a22843-546b-7ff8-a787-cb09de2207cd', 2, 1795971830965610, 'dns.ready', 'awaitingHttpProbe', '{"addresses":["127.0.0.1"],"resolvers":[{"answer":["127.0.0.1"],"chain":["customers.platform.test"],"resolver":"127.0.0.1:55083"},{"answer":["127.0.0.1"],"chain":["customers.platform.test"],"resolver":"127.0.0.1:35666"}]}', 3703, 'replica-d3dba5');
INSERT INTO public.domain_events VALUES ('01a22843-546b-7ff8-a787-cb09de2207cd', 3, 1795971830995711, 'http.ready', 'ordering', '{"addresses":["127.0.0.1"],"probes":[{"address":"127.0.0.1","answer":"ours"}],"resolvers":[{"answer":["127.0.0.1"],"chain":["customers.platform.test"],"resolver":"127.0.0.1:55083"},{"answer":["127.0.0.1"],"chain":["customers.platform.test"],"resolver":"127.0.0.1:35666"}]}', 17134, 'replica-d3dba5');
INSERT INTO public.domain_events VALUES ('01a22843-546b-7ff8-a787-cb09de2207cd', 4, 1795971831058171, 'order.placed', 'validating', '{"orderUrl":"https://127.0.0.1:32877/my-order/aYecPc7R9ctvKsjZUy8aQdxQvYRL9_FjvzemdbMqlw0"}', 52857, 'replica-d3dba5');
INSERT INTO public.domain_events VALUES ('01a22843-546b-7ff8-a787-cb09de2207cd', 5, 1795971831109712, 'order.ready', 'finalizing', '{"challengeUrl":"https://127.0.0.1:32877/chalZ/wVu3chHp8qK1UEwcERJIaOIn5BY7ZeH1vfoQFfIzN9I","orderUrl":"https://127.0.0.1:32877/my-order/aYecPc7R9ctvKsjZUy8aQdxQvYRL9_FjvzemdbMqlw0"}', 49216, 'replica-d3dba5');
INSERT INTO public.domain_events VALUES ('01a22843-5610-7efd-8f8c-92c30873f106', 1, 1795971831359709, 'domain.taken_in', 'awaitingDns', '{"cabinetStatus":"PendingDns"}', NULL, 'replica-648847');
INSERT INTO public.domain_events VALUES ('01a22843-5610-7efd-8f8c-92c30873f106', 2, 1795971831383666, 'dns.ready', 'awaitingHttpProbe', '{"addresses":["127.0.0.1"],"resolvers":[{"answer":["127.0.0.1"],"chain":["customers.platform.test"],"resolver":"127.0.0.1:55083"},{"answer":["127.0.0.1"],"chain":["customers.platform.test"],"resolver":"127.0.0.1:35666"}]}', 4462, 'replica-648847');
INSERT INTO public.domain_events VALUES ('01a22843-5610-7efd-8f8c-92c30873f106', 3, 1795971831412560, 'http.ready', 'ordering', '{"addresses":["127.0.0.1"],"probes":[{"address":"127.0.0.1","answer":"ours"}],"resolvers":[{"answer":["127.0.0.1"],"chain":["customers.platform.test"],"resolver":"127.0.0.1:55083"},{"answer":["127.0.0.1"],"chain":["customers.platform.test"],"resolver":"127.0.0.1:35666"}]}', 13888, 'replica-648847');
INSERT INTO public.domain_events VALUES ('01a22843-5610-7efd-8f8c-92c30873f106', 4, 1795971831493504, 'order.placed', 'validating', '{"orderUrl":"https://127.0.0.1:32877/my-order/fffujm6FroObu3vK_eFVpECcZgPb-t9xC9VmdNkin6g"}', 64103, 'replica-648847');
INSERT INTO public.domain_events VALUES ('01a22843-5610-7efd-8f8c-92c30873f106', 5, 1795971831548143, 'order.ready', 'finalizing', '{"challengeUrl":"https://127.0.0.1:32877/chalZ/PrQ126-oRBQEF2Wo_5fcESA0GsYwBn475WpB4jhc5gM","orderUrl":"https://127.0.0.1:32877/my-order/fffujm6FroObu3vK_eFVpECcZgPb-t9xC9VmdNkin6g"}', 52887, 'replica-648847');
INSERT INTO public.domain_events VALUES ('01a22843-4dc2-7b0e-ba67-9f753446ffb8', 8, 1795971831848333, 'renewal.requested', 'renewing', '{}', NULL, 'operator@replica');
INSERT INTO public.domain_events VALUES ('01a22843-5040-7e58-a882-904c1510b173', 5, 1795971831884521, 'dns_nxdomain', 'awaitingDns', '{"code":"DNS_NXDOMAIN","resolvers":[{"answer":"does not exist","chain":[],"resolver":"127.0.0.1:55083"},{"answer":"does not exist","chain":[],"resolver":"127.0.0.1:35666"}]}', 2938, 'replica-c27dcb');
INSERT INTO public.domain_events VALUES ('01a22843-4dc2-7b0e-ba67-9f753446ffb8', 9, 1795971831903241, 'http.ready', 'renewing', '{"addresses":["127.0.0.1"],"probes":[{"address":"127.0.0.1","answer":"ours"}],"resolvers":[{"answer":["127.0.0.1"],"chain":["customers.platform.test"],"resolver":"127.0.0.1:55083"},{"answer":["127.0.0.1"],"chain":["customers.platform.test"],"resolver":"127.0.0.1:35666"}]}', 13366, 'replica-c27dcb');
INSERT INTO public.domain_events VALUES ('01a22843-4dc2-7b0e-ba67-9f753446ffb8', 10, 1795971831958890, 'order.placed', 'renewing', '{"exemptFromLimits":false,"orderUrl":"https://127.0.0.1:32877/my-order/moFPmyDQmCBeI6QIsNbdKsFLHDfERBOHvDi21ALBtkg","replaces":"1nw0CZ4k4wqSOoJ4tV4gcequCwU.bsQsXSfZTmU"}', 49715, 'replica-c27dcb');
INSERT INTO public.domain_events VALUES ('01a22843-4dc2-7b0e-ba67-9f753446ffb8', 11, 1795971832010074, 'order.ready', 'renewing', '{"challengeUrl":"https://127.0.0.1:32877/chalZ/8Q4a5jqlts8fT1mvSQSjL1R3OJMr76J7vtxKU7A1Bu0","orderUrl":"https://127.0.0.1:32877/my-order/moFPmyDQmCBeI6QIsNbdKsFLHDfERBOHvDi21ALBtkg"}', 48918, 'replica-c27dcb');
INSERT INTO public.domain_events VALUES ('01a22843-5040-7e58-a882-904c1510b173', 6, 1795971832874245, 'dns_wrong_target', 'awaitingDns', '{"addresses":["192.0.2.10"],"chain":["old.elsewhere.test"],"code":"DNS_WRONG_TARGET","resolvers":[{"answer":["192.0.2.10"],"chain":["old.elsewhere.test"],"resolver":"127.0.0.1:55083"},{"answer":["192.0.2.10"],"chain":["old.elsewhere.test"],"resolver":"127.0.0.1:35666"}]}', 3156, 'replica-86b969');


--
-- Data for Name: edge_deployments; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.edge_deployments VALUES ('01a22843-4dc2-7b0e-ba67-9f753446ffb8', 'http://127.0.0.1:17782', '01a22843-4f12-7447-84eb-efbb64186abc', 1795971829573601, 1795971829522702);
INSERT INTO public.edge_deployments VALUES ('01a22843-4d80-7932-b976-a8dd8acec382', 'http://127.0.0.1:17782', '01a22843-4f25-7d62-b6d8-5215780f1e40', 1795971829627795, 1795971829541419);
INSERT INTO public.edge_deployments VALUES ('01a22843-4db8-70f1-9546-1b416e2143d1', 'http://127.0.0.1:17782', '01a22843-4f7c-7d79-aaa1-c6cc398ddbb6', 1795971829716453, 1795971829628190);


--
-- Data for Name: edges; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.edges VALUES ('http://127.0.0.1:17782', 1795971829152993, 1795971830117697, NULL, NULL, 1795971832334645, 3, 0, 0, 1795971829102348, 1795971829102348);


--
-- Data for Name: outbox; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.outbox OVERRIDING SYSTEM VALUE VALUES (30, '01a22843-5040-7e58-a882-904c1510b173', '{"status":"PendingDns","failure":{"code":"DNS_WRONG_TARGET","chain":["old.elsewhere.test"],"addresses":["192.0.2.10"]},"message":"pending.upgrade.test points to old.elsewhere.test, not to us. To fix it, remove that record and create the record \"pending CNAME customers.platform.test.\" in the zone upgrade.test.","next_attempt_at":"2026-11-29T17:03:53.759749Z","certificate_not_after":null}', 1, 1795971833688498, NULL, NULL, DEFAULT, 1795971832874245, 'PendingDns');


--
-- Data for Name: rate_limit_buckets; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.rate_limit_buckets VALUES ('FailedValidations https://127.0.0.1:32877/dir shop.rejected.test', 1795971889783285, 0, 0);
INSERT INTO public.rate_limit_buckets VALUES ('RegisteredDomain https://127.0.0.1:32877/dir rejected.test', 1795972129783285, 0, 0);
INSERT INTO public.rate_limit_buckets VALUES ('ExactSet https://127.0.0.1:32877/dir renewing.upgrade.test', 1796214049542328, 2, 0);
INSERT INTO public.rate_limit_buckets VALUES ('FailedValidations https://127.0.0.1:32877/dir removed.upgrade.test', 1795971889369657, 0, 0);
INSERT INTO public.rate_limit_buckets VALUES ('FailedValidations https://127.0.0.1:32877/dir live.upgrade.test', 1795971889369186, 0, 0);
INSERT INTO public.rate_limit_buckets VALUES ('ExactSet https://127.0.0.1:32877/dir order-saved.upgrade.test', 1796093090218572, 1, 0);
INSERT INTO public.rate_limit_buckets VALUES ('FailedValidations https://127.0.0.1:32877/dir order-saved.upgrade.test', 1795972610218572, 1, 0);
INSERT INTO public.rate_limit_buckets VALUES ('ExactSet https://127.0.0.1:32877/dir removed.upgrade.test', 1796093089549845, 1, 0);
INSERT INTO public.rate_limit_buckets VALUES ('FailedValidations https://127.0.0.1:32877/dir renewing.upgrade.test', 1795971891913406, 0, 0);
INSERT INTO public.rate_limit_buckets VALUES ('FailedValidations https://127.0.0.1:32877/dir moved.upgrade.test', 1795971889400341, 0, 0);
INSERT INTO public.rate_limit_buckets VALUES ('ExactSet https://127.0.0.1:32877/dir live.upgrade.test', 1796093089549313, 1, 0);
INSERT INTO public.rate_limit_buckets VALUES ('ExactSet https://127.0.0.1:32877/dir moved.upgrade.test', 1796093089661282, 1, 0);
INSERT INTO public.rate_limit_buckets VALUES ('NewOrders https://127.0.0.1:32877/dir', 1795972177369657, 8, 0);
INSERT INTO public.rate_limit_buckets VALUES ('ExactSet https://127.0.0.1:32877/dir shop.rejected.test', 1795972129783285, 0, 0);
INSERT INTO public.rate_limit_buckets VALUES ('ExactSet https://127.0.0.1:32877/dir challenge-saved.upgrade.test', 1796093090625825, 1, 0);
INSERT INTO public.rate_limit_buckets VALUES ('FailedValidations https://127.0.0.1:32877/dir challenge-saved.upgrade.test', 1795972610625825, 1, 0);
INSERT INTO public.rate_limit_buckets VALUES ('ExactSet https://127.0.0.1:32877/dir key-saved.upgrade.test', 1796093091008876, 1, 0);
INSERT INTO public.rate_limit_buckets VALUES ('FailedValidations https://127.0.0.1:32877/dir key-saved.upgrade.test', 1795971891008876, 0, 0);
INSERT INTO public.rate_limit_buckets VALUES ('ExactSet https://127.0.0.1:32877/dir certificate-saved.upgrade.test', 1796093091436951, 1, 0);
INSERT INTO public.rate_limit_buckets VALUES ('RegisteredDomain https://127.0.0.1:32877/dir upgrade.test', 1796068897369657, 8, 0);
INSERT INTO public.rate_limit_buckets VALUES ('FailedValidations https://127.0.0.1:32877/dir certificate-saved.upgrade.test', 1795971891436951, 0, 0);


--
-- Data for Name: rate_limit_slots; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.rate_limit_slots VALUES ('01a22843-514b-7447-b8c8-2e889f3bd6bf', 'ExactSet https://127.0.0.1:32877/dir order-saved.upgrade.test', 1795971830218572);
INSERT INTO public.rate_limit_slots VALUES ('01a22843-514b-7447-b8c8-2e889f3bd6bf', 'FailedValidations https://127.0.0.1:32877/dir order-saved.upgrade.test', 1795971830218572);
INSERT INTO public.rate_limit_slots VALUES ('01a22843-514b-7447-b8c8-2e889f3bd6bf', 'RegisteredDomain https://127.0.0.1:32877/dir upgrade.test', 1795971830218572);
INSERT INTO public.rate_limit_slots VALUES ('01a22843-52f0-77f6-ba4e-bdd8c12d05d6', 'ExactSet https://127.0.0.1:32877/dir challenge-saved.upgrade.test', 1795971830625825);
INSERT INTO public.rate_limit_slots VALUES ('01a22843-52f0-77f6-ba4e-bdd8c12d05d6', 'FailedValidations https://127.0.0.1:32877/dir challenge-saved.upgrade.test', 1795971830625825);
INSERT INTO public.rate_limit_slots VALUES ('01a22843-52f0-77f6-ba4e-bdd8c12d05d6', 'RegisteredDomain https://127.0.0.1:32877/dir upgrade.test', 1795971830625825);
INSERT INTO public.rate_limit_slots VALUES ('01a22843-546b-7ff8-a787-cb09de2207cd', 'ExactSet https://127.0.0.1:32877/dir key-saved.upgrade.test', 1795971831008876);
INSERT INTO public.rate_limit_slots VALUES ('01a22843-546b-7ff8-a787-cb09de2207cd', 'RegisteredDomain https://127.0.0.1:32877/dir upgrade.test', 1795971831008876);
INSERT INTO public.rate_limit_slots VALUES ('01a22843-5610-7efd-8f8c-92c30873f106', 'ExactSet https://127.0.0.1:32877/dir certificate-saved.upgrade.test', 1795971831436951);
INSERT INTO public.rate_limit_slots VALUES ('01a22843-5610-7efd-8f8c-92c30873f106', 'RegisteredDomain https://127.0.0.1:32877/dir upgrade.test', 1795971831436951);
INSERT INTO public.rate_limit_slots VALUES ('01a22843-4dc2-7b0e-ba67-9f753446ffb8', 'ExactSet https://127.0.0.1:32877/dir renewing.upgrade.test', 1795971831913406);


--
-- Data for Name: renewal_questions; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.renewal_questions VALUES ('01a22843-4dc2-7b0e-ba67-9f753446ffb8', '01a22843-4f12-7447-84eb-efbb64186abc', 1795973100579589, NULL, NULL, NULL, 0);
INSERT INTO public.renewal_questions VALUES ('01a22843-4d80-7932-b976-a8dd8acec382', '01a22843-4f25-7d62-b6d8-5215780f1e40', 1795973441399295, NULL, NULL, NULL, 0);
INSERT INTO public.renewal_questions VALUES ('01a22843-4db8-70f1-9546-1b416e2143d1', '01a22843-4f7c-7d79-aaa1-c6cc398ddbb6', 1795972121581100, NULL, NULL, NULL, 0);


--
-- Name: outbox_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.outbox_id_seq', 30, true);


--
-- Name: _sqlx_migrations _sqlx_migrations_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public._sqlx_migrations
    ADD CONSTRAINT _sqlx_migrations_pkey PRIMARY KEY (version);


--
-- Name: acme_accounts acme_accounts_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.acme_accounts
    ADD CONSTRAINT acme_accounts_pkey PRIMARY KEY (directory_url);


--
-- Name: acme_challenges acme_challenges_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.acme_challenges
    ADD CONSTRAINT acme_challenges_pkey PRIMARY KEY (order_id);


--
-- Name: acme_orders acme_orders_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.acme_orders
    ADD CONSTRAINT acme_orders_pkey PRIMARY KEY (id);


--
-- Name: cabinet_sightings cabinet_sightings_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.cabinet_sightings
    ADD CONSTRAINT cabinet_sightings_pkey PRIMARY KEY (domain_id);


--
-- Name: certificates certificates_order_id_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.certificates
    ADD CONSTRAINT certificates_order_id_key UNIQUE (order_id);


--
-- Name: certificates certificates_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.certificates
    ADD CONSTRAINT certificates_pkey PRIMARY KEY (id);


--
-- Name: chores chores_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.chores
    ADD CONSTRAINT chores_pkey PRIMARY KEY (name);


--
-- Name: cursors cursors_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.cursors
    ADD CONSTRAINT cursors_pkey PRIMARY KEY (name);


--
-- Name: custom_domains custom_domains_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.custom_domains
    ADD CONSTRAINT custom_domains_pkey PRIMARY KEY (id);


--
-- Name: domain_events domain_events_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.domain_events
    ADD CONSTRAINT domain_events_pkey PRIMARY KEY (domain_id, seq);


--
-- Name: edge_deployments edge_deployments_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.edge_deployments
    ADD CONSTRAINT edge_deployments_pkey PRIMARY KEY (domain_id, edge);


--
-- Name: edges edges_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.edges
    ADD CONSTRAINT edges_pkey PRIMARY KEY (name);


--
-- Name: outbox outbox_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.outbox
    ADD CONSTRAINT outbox_pkey PRIMARY KEY (id);


--
-- Name: rate_limit_buckets rate_limit_buckets_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.rate_limit_buckets
    ADD CONSTRAINT rate_limit_buckets_pkey PRIMARY KEY (bucket);


--
-- Name: rate_limit_slots rate_limit_slots_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.rate_limit_slots
    ADD CONSTRAINT rate_limit_slots_pkey PRIMARY KEY (domain_id, bucket);


--
-- Name: renewal_questions renewal_questions_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.renewal_questions
    ADD CONSTRAINT renewal_questions_pkey PRIMARY KEY (domain_id);


--
-- Name: acme_orders_domain; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX acme_orders_domain ON public.acme_orders USING btree (domain_id);


--
-- Name: acme_orders_open; Type: INDEX; Schema: public; Owner: -
--

CREATE UNIQUE INDEX acme_orders_open ON public.acme_orders USING btree (domain_id) WHERE open;


--
-- Name: cabinet_sightings_missing; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX cabinet_sightings_missing ON public.cabinet_sightings USING btree (domain_id) WHERE (missing_since IS NOT NULL);


--
-- Name: certificates_domain; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX certificates_domain ON public.certificates USING btree (domain_id);


--
-- Name: certificates_generation; Type: INDEX; Schema: public; Owner: -
--

CREATE UNIQUE INDEX certificates_generation ON public.certificates USING btree (hostname, generation);


--
-- Name: custom_domains_due; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX custom_domains_due ON public.custom_domains USING btree (lane, tenant_shard, acquirable_at);


--
-- Name: custom_domains_hostname; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX custom_domains_hostname ON public.custom_domains USING btree (hostname, created_at);


--
-- Name: custom_domains_serving; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX custom_domains_serving ON public.custom_domains USING btree (hostname) WHERE (serving_certificate_id IS NOT NULL);


--
-- Name: custom_domains_serving_not_after; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX custom_domains_serving_not_after ON public.custom_domains USING btree (serving_not_after);


--
-- Name: custom_domains_urgent; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX custom_domains_urgent ON public.custom_domains USING btree (urgent_from) WHERE (lane = ANY (ARRAY['renewal'::text, 'recheck'::text]));


--
-- Name: domain_events_at; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX domain_events_at ON public.domain_events USING btree (at);


--
-- Name: edge_deployments_edge; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX edge_deployments_edge ON public.edge_deployments USING btree (edge, domain_id);


--
-- Name: outbox_created; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX outbox_created ON public.outbox USING btree (created_at);


--
-- Name: outbox_domain; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX outbox_domain ON public.outbox USING btree (domain_id, id);


--
-- Name: outbox_due; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX outbox_due ON public.outbox USING btree (acquirable_at);


--
-- Name: outbox_progress; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX outbox_progress ON public.outbox USING btree (acquirable_at) WHERE (status <> 'PendingDns'::text);


--
-- Name: rate_limit_buckets_full_at; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX rate_limit_buckets_full_at ON public.rate_limit_buckets USING btree (full_at);


--
-- Name: renewal_questions_due; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX renewal_questions_due ON public.renewal_questions USING btree (ask_at);


--
-- Name: acme_challenges acme_challenges_order_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.acme_challenges
    ADD CONSTRAINT acme_challenges_order_id_fkey FOREIGN KEY (order_id) REFERENCES public.acme_orders(id) ON DELETE CASCADE;


--
-- Name: acme_orders acme_orders_domain_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.acme_orders
    ADD CONSTRAINT acme_orders_domain_id_fkey FOREIGN KEY (domain_id) REFERENCES public.custom_domains(id) ON DELETE CASCADE;


--
-- Name: cabinet_sightings cabinet_sightings_domain_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.cabinet_sightings
    ADD CONSTRAINT cabinet_sightings_domain_id_fkey FOREIGN KEY (domain_id) REFERENCES public.custom_domains(id) ON DELETE CASCADE;


--
-- Name: certificates certificates_domain_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.certificates
    ADD CONSTRAINT certificates_domain_id_fkey FOREIGN KEY (domain_id) REFERENCES public.custom_domains(id) ON DELETE CASCADE;


--
-- Name: domain_events domain_events_domain_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.domain_events
    ADD CONSTRAINT domain_events_domain_id_fkey FOREIGN KEY (domain_id) REFERENCES public.custom_domains(id) ON DELETE CASCADE;


--
-- Name: edge_deployments edge_deployments_domain_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.edge_deployments
    ADD CONSTRAINT edge_deployments_domain_id_fkey FOREIGN KEY (domain_id) REFERENCES public.custom_domains(id) ON DELETE CASCADE;


--
-- Name: outbox outbox_domain_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.outbox
    ADD CONSTRAINT outbox_domain_id_fkey FOREIGN KEY (domain_id) REFERENCES public.custom_domains(id) ON DELETE CASCADE;


--
-- Name: rate_limit_slots rate_limit_slots_domain_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.rate_limit_slots
    ADD CONSTRAINT rate_limit_slots_domain_id_fkey FOREIGN KEY (domain_id) REFERENCES public.custom_domains(id) ON DELETE CASCADE;


--
-- Name: renewal_questions renewal_questions_domain_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.renewal_questions
    ADD CONSTRAINT renewal_questions_domain_id_fkey FOREIGN KEY (domain_id) REFERENCES public.custom_domains(id) ON DELETE CASCADE;


--
-- PostgreSQL database dump complete
--


