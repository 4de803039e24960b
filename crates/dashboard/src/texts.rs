//! The texts of all pages in every language, side by side, so that the compiler misses none.
//!
//! The list is long because it is the only place of texts. A placeholder is a word in braces.

macro_rules! texts {
    ($($key:ident: $en:literal, $ru:literal;)+) => {
        /// The texts of one language.
        #[derive(Debug)]
        #[expect(missing_docs, reason = "each field is shown in English below")]
        pub struct Texts { $(pub $key: &'static str,)+ }

        /// English.
        pub static EN: Texts = Texts { $($key: $en,)+ };

        /// Russian.
        pub static RU: Texts = Texts { $($key: $ru,)+ };

        /// Every key with its text in English and in Russian.
        pub const ALL: &[(&str, &str, &str)] = &[$((stringify!($key), $en, $ru),)+];
    };
}

texts! {
    // The frame.
    skip: "Skip to the content", "Перейти к содержимому";
    menu: "Pages", "Разделы";
    overview: "Overview", "Обзор";
    domains: "Domains", "Домены";
    causes: "Causes", "Причины";
    renewals: "Renewals", "Продление";
    limits: "CA limits", "Лимиты УЦ";
    edges: "Edges", "Узлы";
    tenants: "Tenants", "Арендаторы";
    activity: "Activity", "Действия";
    system: "System", "Система";
    jobs: "Jobs", "Задания";
    issuance_nav: "Pauses", "Паузы";
    sign_out: "Sign out", "Выйти";
    signed_in_as: "Signed in as", "Вы вошли как";
    language: "Language", "Язык";
    theme: "Theme", "Тема";
    theme_system: "System", "Системная";
    theme_light: "Light", "Светлая";
    theme_dark: "Dark", "Тёмная";
    apply: "Apply", "Применить";
    preferences: "Language and theme", "Язык и тема";
    stale: "The service does not answer. What you see is from {time}.", "Сервис не отвечает. Показаны данные на {time}.";

    // Times.
    ago: "{time} ago", "{time} назад";
    in_time: "in {time}", "через {time}";
    unit_seconds: "s", "с";
    unit_minutes: "min", "мин";
    unit_hours: "h", "ч";
    unit_days: "d", "дн";

    // States.
    status_pending_dns: "Waiting for DNS", "Ждёт DNS";
    status_pending_http: "Waiting for HTTP", "Ждёт HTTP";
    status_issuing: "Issuing", "Выпуск";
    status_active: "Active", "Активен";
    status_failed: "Failed", "Ошибка";
    status_pending_removal: "Being removed", "Удаляется";
    status_removed: "Removed", "Удалён";
    actor_customer: "Customer", "Клиент";
    actor_operator: "Operator", "Оператор";
    actor_nobody: "Nobody", "Никто";
    actor_ca: "The CA", "УЦ";
    presented_wanted: "As wanted", "Как нужно";
    presented_other: "Differs", "Отличается";
    edge_answers: "Answers", "Отвечает";
    edge_unreachable: "Unreachable", "Недоступен";
    edge_probation: "On probation", "На проверке";
    edge_waits: "Waits for approval", "Ждёт одобрения";
    edge_left: "No longer configured", "Больше не в настройках";

    // Signing in.
    sign_in: "Sign in", "Вход";
    sign_in_lead: "The dashboard shows every domain of this service, and lets operators act on them.", "Панель показывает все домены сервиса и позволяет операторам действовать.";
    token: "Access token", "Токен доступа";
    token_help: "One of the tokens of Admin:Tokens. The session ends after 12 hours, or when the token is replaced.", "Один из токенов Admin:Tokens. Сеанс длится 12 часов и кончается раньше, если токен заменён.";
    token_refused: "This token is not known. Check it and try again.", "Этот токен неизвестен. Проверьте его и попробуйте снова.";
    session_ended: "Your session has ended. Sign in again.", "Сеанс завершён. Войдите снова.";

    // Problems.
    problem_request: "This request cannot be used", "Запрос нельзя выполнить";
    problem_forbidden: "Your role does not allow this", "Ваша роль этого не позволяет";
    problem_not_found: "There is nothing here", "Здесь ничего нет";
    problem_conflict: "The state does not allow this", "Состояние этого не позволяет";
    problem_unavailable: "The service cannot read its database", "Сервис не может прочитать базу данных";
    problem_internal: "The service failed", "Сбой сервиса";
    help_forbidden: "Ask somebody with a higher role, or sign in with another token.", "Обратитесь к тому, у кого роль выше, или войдите с другим токеном.";
    help_unavailable: "Certificates that are deployed stay served. This page works again as soon as the database answers.", "Установленные сертификаты продолжают работать. Страница откроется, как только база данных ответит.";
    help_other: "Go back, or begin at the overview.", "Вернитесь назад или начните с обзора.";
    try_again: "Try again", "Повторить";

    // The overview.
    overview_purpose: "Does anything need you?", "Требуется ли ваше внимание?";
    all_clear: "All clear", "Всё в порядке";
    counted_at_text: "counted at", "подсчитано в";
    attention: "Attention", "Внимание";
    attention_paused: "Issuance is paused", "Выпуск приостановлен";
    attention_operator: "Domains that wait for the operator", "Домены, которые ждут оператора";
    attention_expiring: "Domains whose certificate ends within 7 days", "Домены, сертификат которых кончится за 7 дней";
    attention_served: "Served domains whose renewal fails", "Работающие домены, которые не удаётся продлить";
    attention_unreachable: "Unreachable edges", "Недоступные узлы";
    attention_probation: "Edges on probation after an outage", "Узлы на проверке после сбоя";
    attention_approval: "Edges that wait for approval", "Узлы, которые ждут одобрения";
    attention_limits: "Limits of the account that are used up", "Исчерпанные лимиты учётной записи";
    attention_counts: "The counts are older than 5 minutes: the worker may be stopped", "Счётчики старше 5 минут: возможно, обработчик остановлен";
    time_to_active: "From intake to the first certificate, last 24 hours", "От приёма до первого сертификата, за сутки";
    half_within: "Half within", "Половина за";
    nearly_all_within: "99 % within", "99 % за";
    first_served: "Domains first served", "Впервые заработали";
    no_first_served: "No domain was first served in the last 24 hours, as far as the last survey knows.", "По данным последнего обхода, за сутки ни один домен не заработал впервые.";
    orders_waiting: "First orders that wait for the limit", "Первые заказы, которые ждут лимита";
    orders_last: "the last one", "последний";
    surveyed_at: "All served certificates were last read", "Все установленные сертификаты прочитаны";
    domains_by_status: "Domains by status", "Домены по состоянию";
    all_domains: "All domains", "Все домены";
    since_earlier: "over {time}", "за {time}";
    last_week: "The last 7 days", "Последние 7 дней";
    chart_served: "Domains that are served", "Работающие домены";
    chart_open: "Domains on the way, and failed ones", "Домены в работе и с ошибкой";
    chart_pending: "On the way", "В работе";
    chart_table: "Show as a table", "Показать таблицей";
    chart_none: "Curves appear after the first hours of counting.", "Графики появятся после первых часов подсчёта.";
    day: "Day", "День";
    top_causes: "Top causes", "Главные причины";
    all_causes: "All causes", "Все причины";
    no_causes: "No domain has a failure.", "Ни у одного домена нет ошибки.";
    edges_summary: "Edges", "Узлы";
    no_edges: "No edge is known yet.", "Узлов пока нет.";
    limits_in_use: "Account limits: left / total", "Лимиты учётной записи: осталось / всего";
    no_limits: "No limit is used or waited for.", "Лимиты не используются.";
    no_account_limits: "No limits are known for this CA.", "Для этого УЦ лимиты не известны.";
    all_limits: "All limits", "Все лимиты";
    all_edges: "All edges", "Все узлы";

    // Columns.
    col_status: "Status", "Состояние";
    col_domains: "Domains", "Домены";
    col_change: "Change", "Изменение";
    col_code: "Code", "Код";
    col_actor: "Who must act", "Кто действует";
    col_served: "Served", "Работают";
    col_hostname: "Hostname", "Имя";
    col_tenant: "Tenant", "Арендатор";
    col_since: "Since", "С какого времени";
    col_next: "Next attempt", "Следующая попытка";
    col_ends: "Certificate ends", "Сертификат до";
    col_edge: "Edge", "Узел";
    col_state: "State", "Состояние";
    col_limit: "Limit", "Лимит";
    col_of: "Applies to", "К чему относится";
    col_left: "Left", "Осталось";
    col_next_at: "Next request", "Следующий запрос";
    col_blocked: "Blocked by the CA until", "Запрет УЦ до";
    col_action: "Action", "Действие";

    // Limits.
    the_account: "the account", "учётная запись";
    no_limit: "no limit", "без лимита";
    now: "now", "сейчас";
    limits_purpose: "What may we still order?", "Что ещё можно заказать?";
    limits_lead: "Limits of {ca} that are used in part or waited for.", "Лимиты {ca}, которые частично использованы или ожидаются.";
    limits_of_names: "Limits of names and tenants", "Лимиты имён и арендаторов";
    lift: "Lift", "Снять";
    lift_help: "Domains that wait for this limit are due at once. If the CA refuses again, they wait again.", "Ожидающие домены продолжат сразу. Если УЦ снова откажет, они снова будут ждать.";
    lifted: "The limit is lifted.", "Лимит снят.";
    lifted_in_part: "The limit is lifted, but not every waiting domain was reached in time.", "Лимит снят, но за отведённое время затронуты не все ожидающие домены.";
    reach_others: "Reach the others", "Затронуть остальные";

    // Domains.
    domains_purpose: "Which ones?", "Какие именно?";
    filter: "Filter", "Фильтр";
    search: "Name", "Имя";
    match_containing: "contains", "содержит";
    match_name: "is exactly", "совпадает";
    match_prefix: "begins with", "начинается с";
    match_suffix: "is or is below", "равно или ниже";
    match_label: "How the name is compared", "Как сравнивать имя";
    any: "any", "любое";
    expires_within: "Certificate ends within", "Сертификат кончится за";
    show: "Show", "Показать";
    clear_filter: "Clear the filter", "Сбросить фильтр";
    no_domains: "No domain matches this filter.", "Нет доменов по этому фильтру.";
    next_page: "Next page", "Следующая страница";
    first_page: "First page", "Первая страница";
    stale_place: "This link to a page is too old or was made for another filter. Begin at the first page.", "Ссылка на страницу устарела или создана для другого фильтра. Начните с первой страницы.";
    pending_edge: "Not yet on edge", "Ещё не на узле";

    // One domain.
    name_state: "Name", "Имя";
    certificate_state: "Certificate", "Сертификат";
    name_here: "points at the edges", "указывает на узлы";
    name_unchecked: "is not checked yet", "ещё не проверено";
    name_wrong: "does not lead to the edges", "не ведёт на узлы";
    name_moved: "moved away", "уведено";
    name_refused: "is refused", "отклонено";
    certificate_none: "none yet", "ещё нет";
    certificate_issuing: "is being issued", "выпускается";
    certificate_served: "is served", "установлен";
    certificate_renewing: "is served, renewal under way", "установлен, идёт продление";
    certificate_ended: "has ended", "истёк";
    ends: "ends", "истекает";
    renewal_begins: "renewal begins", "продление начнётся";
    customer_reads: "The customer reads", "Клиент видит";
    customer_reads_nothing: "Nothing: there is no failure.", "Ничего: ошибок нет.";
    copy: "Copy", "Копировать";
    copied: "Copied", "Скопировано";
    details_list: "Facts", "Сведения";
    evidence: "Details of the last failure", "Подробности последней ошибки";
    attempts: "Attempts since the last progress", "Попыток с последнего успеха";
    target: "CNAME must point at", "CNAME должен указывать на";
    ownership: "Ownership", "Владение";
    taken_in: "Taken in", "Принят";
    updated: "Last written", "Последняя запись";
    identifier: "Identifier", "Идентификатор";
    phase: "Phase", "Этап";
    safest_caa: "Strictest CAA record", "Самая строгая запись CAA";
    renewal_window: "Window that the CA suggests", "Срок, предложенный УЦ";
    explanation: "The CA's explanation", "Пояснение УЦ";
    on_edges: "On the edges", "На узлах";
    next_step: "Next step", "Следующий шаг";
    worked_on: "A process works on it until", "Процесс работает над ним до";
    operator_remedy: "The operator can", "Оператор может";
    seen_by_dns: "DNS answers", "Ответы DNS";
    seen_by_probe: "Answers to the HTTP probe", "Ответы на HTTP-проверку";
    ca_words: "The CA said", "УЦ сообщил";
    col_server: "Server", "Сервер";
    col_answer: "Answer", "Ответ";
    kind_resolver: "resolver", "резолвер";
    kind_authoritative: "authoritative", "авторитетный";
    limits_touched: "Limits of its next order", "Лимиты следующего заказа";
    col_until: "No order before", "Заказ не раньше";
    open_order: "Open order", "Открытый заказ";
    fingerprint: "Fingerprint (SHA-256)", "Отпечаток (SHA-256)";
    not_on_edges: "No edge has presented a certificate for it.", "Ни один узел ещё не показал сертификат.";
    presented: "Presented since", "Показывает с";
    other_claims: "Other domains with this hostname", "Другие домены с этим именем";
    timeline: "Timeline", "История";
    no_events: "Nothing has happened yet.", "Пока ничего не произошло.";
    when: "When", "Когда";
    event: "Event", "Событие";
    took: "Took", "Заняло";
    by: "By", "Кто";
    details: "Details", "Подробности";
    act: "Act", "Действия";
    reason: "Reason (optional, kept in the timeline)", "Причина (необязательно, сохраняется в истории)";
    retry: "Retry now", "Повторить шаг сейчас";
    retry_help: "Makes the next step due now. A failed domain starts over. Limits of the CA stay in force.", "Следующий шаг выполнится сразу. Домен с ошибкой начнёт сначала. Лимиты УЦ остаются в силе.";
    renew: "Renew now", "Продлить сейчас";
    renew_help: "Begins the renewal now. The present certificate is served meanwhile.", "Продление начнётся сразу. Пока работает нынешний сертификат.";
    recheck: "Check DNS now", "Проверить DNS сейчас";
    recheck_help: "Checks now whether DNS and CAA records are still right. The certificate stays as it is.", "Сразу проверит, верны ли записи DNS и CAA. Сертификат остаётся прежним.";
    rechecked: "The check is due now.", "Проверка начнётся сейчас.";
    retried: "The next step is due now.", "Следующий шаг выполнится сейчас.";
    renewed: "The renewal is due now.", "Продление начнётся сейчас.";

    // Diagnosis.
    diagnosis: "Diagnosis", "Диагностика";
    diagnosis_purpose: "What is wrong now?", "Что не так сейчас?";
    diagnosis_lead: "These checks were made just now. Nothing was ordered. Act on the first one that is not OK.", "Проверки выполнены только что. Ничего не заказано. Начните с первой, которая не в порядке.";
    diagnose: "Diagnose", "Диагностировать";
    diagnose_help: "Checks DNS, CAA, the path, limits and every edge now. Orders nothing; takes 10 seconds at most.", "Сейчас проверит DNS, CAA, путь, лимиты и каждый узел. Ничего не заказывает; не дольше 10 секунд.";
    diagnose_again: "Diagnose again", "Повторить диагностику";
    check: "Check", "Проверка";
    result: "Result", "Результат";
    check_ok: "OK", "В порядке";
    check_failed: "Failed", "Ошибка";
    check_warning: "Warning", "Внимание";
    check_unfinished: "Unfinished", "Не закончена";
    check_skipped: "Skipped", "Пропущена";

    // Causes.
    causes_purpose: "What goes wrong?", "Что не получается?";
    causes_lead: "Domains by the code of their last failure. Served ones have a certificate, but their renewal fails.", "Домены по коду последней ошибки. Работающие имеют сертификат, но продление не удаётся.";

    // Renewals.
    renewals_purpose: "Will anything expire?", "Что-нибудь истечёт?";
    ending_within: "Ends within", "Истекает за";
    soonest: "Certificates that end first", "Сертификаты, которые кончатся первыми";
    renewals_lead: "Domains that moved away are left out, as nobody waits for their renewal.", "Уведённые домены не показаны: их продления никто не ждёт.";
    none_ends: "No certificate ends within 30 days.", "За 30 дней не кончится ни один сертификат.";
    col_renewal: "Renewal", "Продление";
    renewal_under_way: "under way", "идёт";

    renewals_state: "Renewals now", "Продления сейчас";
    urgent_lane: "Urgent", "Срочные";
    renewing: "Under way", "Идут";
    renewals_late: "A tenth of the lifetime left", "Осталась десятая часть срока";
    renewals_late_paused: "Paused, a fifth left", "На паузе, осталась пятая часть";
    renewals_late_customers: "Late, waiting for customers", "Поздно, ждут клиентов";
    info_fresh: "Renewal information under 12\u{a0}h", "Сведения о продлении моложе 12\u{a0}ч";
    info_overdue: "Overdue polls of the CA", "Просроченные опросы УЦ";
    renewals_ahead: "Renewals that begin, by day", "Продления по дням начала";
    renewals_later: "Later:", "Позже:";
    no_survey: "The first survey has not ended yet.", "Первый обход ещё не закончен.";

    // Edges.
    edges_purpose: "Is everything served?", "Всё ли работает?";
    col_expected: "Expected", "Ожидается";
    col_refused: "Refused", "Отклонено";
    col_unknown: "Unknown", "Неизвестно";
    col_compared: "Compared", "Сверено";
    never: "never", "никогда";
    approve: "Approve", "Одобрить";
    approved: "The edge is approved.", "Узел одобрен.";
    approve_help: "The service sends it certificates after its next DNS lookup.", "Сервис отправит ему сертификаты после следующего запроса DNS.";
    edge_serves: "Serving", "Работают";
    edge_pending_list: "Pending", "Ожидают";
    last_problem: "Last problem", "Последняя ошибка";
    compare: "Compare now", "Сверить сейчас";
    compare_due: "The comparison is due now.", "Сверка начнётся сейчас.";

    // Tenants.
    tenants_purpose: "Whose domains are these?", "Чьи это домены?";
    tenants_lead: "Of a tenant with many domains, the first 10,000 are counted here.", "У арендатора с большим числом доменов здесь подсчитаны первые 10 000.";
    no_tenants: "No tenant is known yet.", "Арендаторов пока нет.";
    limits_touched_tenant: "Limits of its orders", "Лимиты его заказов";
    all_of_tenant: "All its domains", "Все его домены";
    col_limited: "Wait for limits", "Ждут лимитов";
    col_paused: "Paused", "Приостановлены";
    col_contested: "Contested", "Спорные";

    // The system.
    system_purpose: "Is the service itself well?", "Исправен ли сам сервис?";
    readiness: "Readiness of this replica", "Готовность этой реплики";
    replicas: "Replicas", "Реплики";
    col_replica: "Replica", "Реплика";
    col_version: "Version", "Версия";
    col_parts: "Parts", "Части";
    col_started: "Started", "Запущена";
    col_seen: "Last sign of life", "Последний сигнал";
    replica_alive: "Alive", "Работает";
    replica_unanswered: "No sign of life", "Нет сигнала";
    queues: "Queues", "Очереди";
    queues_help: "Domains of each lane, due or not.", "Домены каждой очереди, срок которых наступил или нет.";
    col_lane: "Lane", "Очередь";
    col_due: "Next due", "Ближайший срок";
    reports_waiting: "Reports that wait for the Cabinet", "Отчёты, которые ждут Кабинета";
    tasks: "Periodic tasks", "Периодические задачи";
    col_task: "Task", "Задача";
    col_ran: "Last ran", "Последний запуск";
    col_due_at: "Due", "Срок";
    running: "running", "выполняется";
    program: "Program and database", "Программа и база данных";
    answered_by: "Answered by", "Ответила реплика";
    version: "Version", "Версия";
    database: "Database", "База данных";
    migration: "Newest migration", "Последняя миграция";
    encryption_keys: "Key-encryption keys", "Ключи шифрования ключей";
    current_key: "current", "текущий";
    freeze: "Freeze of renewals", "Заморозка продлений";
    no_freeze: "none", "нет";
    frozen_until: "delayed by a freeze until", "отложено заморозкой до";
    old_secrets: "Private keys under older ones", "Закрытые ключи под старыми";
    not_counted: "not counted yet", "ещё не подсчитаны";

    // Jobs.
    jobs_purpose: "What runs on many domains?", "Что выполняется сразу на многих доменах?";
    jobs_lead: "Choose domains in the list, then the action on all of them:", "Выберите домены в списке, затем действие для всех них:";
    no_jobs: "Nobody has begun a job yet.", "Заданий пока не было.";
    job_new: "Act on many domains", "Действие для многих доменов";
    job_new_purpose: "What would happen, and to how many?", "Что произойдёт и со сколькими?";
    job_on_all: "With all domains of this filter:", "Со всеми доменами этого фильтра:";
    job_domains: "Domains", "Домены";
    job_change_filter: "Choose others", "Выбрать другие";
    job_retry: "Retry", "Повторить шаг";
    job_renew: "Renew", "Продлить";
    job_recheck: "Check DNS", "Проверить DNS";
    job_pause: "Pause issuance", "Приостановить выпуск";
    job_resume: "Resume issuance", "Возобновить выпуск";
    job_revoke: "Revoke the certificate", "Отозвать сертификат";
    job_at_pace: "Domains per hour at most", "Доменов в час, не больше";
    job_up_to: "Domains in all at most", "Доменов всего, не больше";
    job_pace: "Domains per hour at most (empty: no limit)", "Доменов в час, не больше (пусто: без ограничения)";
    job_most: "Domains in all at most (empty: all)", "Доменов всего, не больше (пусто: все)";
    job_preview: "Preview", "Предпросмотр";
    job_effect: "{action}: {domains} domains", "{action}: доменов {domains}";
    job_takes: "It takes {time} or more: by the pace, and for orders by the limit of the CA.", "Займёт {time} или больше: по темпу, а для заказов и по лимиту УЦ.";
    job_sample: "The first of them", "Первые из них";
    job_others: "and others:", "и другие:";
    job_all: "Yes, all domains of the fleet", "Да, все домены системы";
    job_bound: "No more domains than this are visited. The service does the job, also if you close this page.", "Больше доменов затронуто не будет. Задание выполняет сервис, даже если закрыть эту страницу.";
    job_refused: "Nothing was begun. Look at the new preview.", "Ничего не начато. Посмотрите новый предпросмотр.";
    job_progress: "{acted} of {expected} done, {refused} refused by their state", "Сделано {acted} из {expected}, отклонено из-за состояния: {refused}";
    job_running: "Running", "Выполняется";
    job_done: "Done", "Готово";
    job_cancelled: "Cancelled", "Отменено";
    job_begun: "Begun", "Начато";
    job_ended: "Ended", "Закончено";
    job_next_batch: "Next batch", "Следующая партия";
    job_cancel: "Cancel the job", "Отменить задание";
    job_cancel_help: "It ends before its next batch. What it did stays.", "Оно закончится перед следующей партией. Сделанное остаётся.";
    job_again: "Begin again from a new preview", "Начать заново с предпросмотра";
    job_again_help: "A cancelled job continues this way: domains that it has changed no longer match, or refuse the action.", "Так продолжают отменённое задание: изменённые домены уже не подходят под фильтр или отклоняют действие.";
    col_done: "Done", "Сделано";
    col_refused_by_state: "Refused by state", "Отклонено состоянием";
    pause_help: "No order is placed, not even for an urgent renewal. Certificates that are served stay.", "Заказы не создаются, даже для срочного продления. Установленные сертификаты остаются.";
    resume_help: "Orders that wait for the pause are due at once.", "Ожидающие заказы выполнятся сразу.";
    revoke_help: "The certificate is replaced and then revoked at the CA. This cannot be undone.", "Сертификат будет заменён и затем отозван в УЦ. Это нельзя отменить.";
    revocation_reason: "Reason for the CA (only to revoke)", "Причина для УЦ (только для отзыва)";
    not_revoked: "none", "нет";
    revoke_unspecified: "unspecified", "не указана";
    revoke_compromised: "the key is compromised", "ключ раскрыт";
    revoke_superseded: "superseded", "заменён";
    revoke_ceased: "no longer operated", "больше не используется";

    // Pauses and removals.
    issuance: "Pauses and removals", "Паузы и удаления";
    issuance_purpose: "What holds the service back?", "Что сдерживает сервис?";
    pauses: "Pauses of issuance", "Паузы выпуска";
    no_pauses: "Nothing is paused.", "Ничего не приостановлено.";
    col_paused_since: "Since", "С какого времени";
    held_back: "Held back by pauses", "Задержано паузами";
    paused_first: "First orders", "Первые заказы";
    paused_renewals: "Renewals", "Продления";
    paused_urgent: "Urgent renewals", "Срочные продления";
    paused_ended: "Certificate has ended", "Сертификат истёк";
    paused_soonest: "The first of these certificates ends:", "Первый из этих сертификатов истекает:";
    lift_pause: "Lift", "Снять";
    lift_pause_help: "Orders that wait are due at once, unless another pause covers them.", "Ожидающие заказы выполнятся сразу, если их не держит другая пауза.";
    pause_new: "Pause issuance", "Приостановить выпуск";
    pause_do: "Pause", "Приостановить";
    pause_begun: "The pause is in force.", "Пауза действует.";
    pause_lifted: "The pause has ended.", "Пауза снята.";
    pause_lifted_in_part: "The pause has ended, but not every waiting order was reached in time.", "Пауза снята, но за отведённое время затронуты не все ожидающие заказы.";
    scope: "What is paused", "Что приостановить";
    scope_all: "Everything", "Всё";
    scope_tenant: "Tenant", "Арендатор";
    scope_domain: "Domain", "Домен";
    scope_subject: "Hostname or tenant (empty for everything)", "Имя или арендатор (пусто, если всё)";
    removals: "Removals by the Cabinet", "Удаления из Кабинета";
    removed_today: "{number} domains were removed or renamed today. Above {percent} % of the domains in a day, removals are held back.", "Сегодня удалено или переименовано доменов: {number}. Если за день их больше {percent} % всех доменов, удаления задерживаются.";
    removals_approved_until: "All removals are approved until", "Все удаления одобрены до";
    removals_approve: "Approve removals for a day", "Одобрить удаления на день";
    removals_help: "The service applies those that it held back. Look first whether the Cabinet lost its domains.", "Сервис выполнит задержанные удаления. Сначала проверьте, не потерял ли Кабинет домены.";
    removals_approved: "Removals are approved.", "Удаления одобрены.";

    // Activity.
    activity_purpose: "Who did what?", "Кто что сделал?";
    no_activity: "Nobody has acted yet.", "Пока никто ничего не делал.";
    col_subject: "Subject", "Предмет";
    col_reason: "Reason", "Причина";
    col_before: "Before", "До";
    col_after: "After", "После";
    col_count: "Number", "Число";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn placeholders(text: &str) -> BTreeSet<&str> {
        let parts = text.split('{').skip(1);
        parts.filter_map(|part| part.split('}').next()).collect()
    }

    #[test]
    fn every_text_is_there_in_both_languages_with_the_same_placeholders() {
        for (key, en, ru) in ALL {
            assert!(!en.trim().is_empty() && !ru.trim().is_empty(), "{key}");
            assert_eq!(placeholders(en), placeholders(ru), "{key}");
            assert_eq!(en.ends_with('.'), ru.ends_with('.'), "{key}");
            assert_eq!(en.ends_with('?'), ru.ends_with('?'), "{key}");
            assert!(
                ru.chars().any(|c| c.is_alphabetic() && !c.is_ascii()),
                "{key}: {ru}"
            );
            assert!(
                en.chars().all(|c| !matches!(c, 'а'..='я' | 'А'..='Я')),
                "{key}: {en}"
            );
        }
    }
}
