-- One trigger in place of four, without a condition. PostgreSQL copies and parses the conditions of a table's triggers with
-- every statement that writes the table.

DROP TRIGGER custom_domains_state_written ON custom_domains;
DROP TRIGGER custom_domains_state_changed ON custom_domains;
DROP TRIGGER custom_domains_name_written ON custom_domains;
DROP TRIGGER custom_domains_name_changed ON custom_domains;
DROP FUNCTION custom_domains_indexed();
DROP FUNCTION custom_domains_named();

CREATE FUNCTION custom_domains_listed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    state_stays BOOLEAN := FALSE;
    name_stays BOOLEAN := FALSE;
BEGIN
    IF TG_OP = 'UPDATE' THEN
        state_stays := OLD.status = NEW.status AND OLD.actor = NEW.actor
            AND OLD.failure_code = NEW.failure_code AND OLD.hostname = NEW.hostname;
        name_stays := OLD.tenant_id = NEW.tenant_id AND OLD.hostname = NEW.hostname
            AND OLD.hostname_reversed = NEW.hostname_reversed;
    END IF;
    IF NOT state_stays THEN
        IF TG_OP <> 'INSERT' THEN
            DELETE FROM domain_states
            WHERE status = OLD.status AND actor = OLD.actor AND failure_code = OLD.failure_code
            AND name = OLD.hostname AND domain_id = OLD.id;
        END IF;
        IF TG_OP <> 'DELETE' THEN
            INSERT INTO domain_states (status, actor, failure_code, name, domain_id)
            VALUES (NEW.status, NEW.actor, NEW.failure_code, NEW.hostname, NEW.id);
        END IF;
    END IF;
    IF NOT name_stays THEN
        IF TG_OP <> 'INSERT' THEN
            DELETE FROM domain_names
            WHERE tenant = OLD.tenant_id AND name = OLD.hostname AND domain_id = OLD.id;
        END IF;
        IF TG_OP <> 'DELETE' THEN
            INSERT INTO domain_names (tenant, name, domain_id, reversed)
            VALUES (NEW.tenant_id, NEW.hostname, NEW.id, NEW.hostname_reversed);
        END IF;
    END IF;
    RETURN NULL;
END
$$;
-- Statements that set none of these columns do not call it. Steps set them only when they change.
CREATE TRIGGER custom_domains_listed
AFTER INSERT OR DELETE OR UPDATE OF status, actor, failure_code, tenant_id, hostname, hostname_reversed
ON custom_domains FOR EACH ROW EXECUTE FUNCTION custom_domains_listed();
