/** @odoo-module */
// The payment terminal "posagent". The browser calls the daemon of its own computer, so the daemon's cors_origins must name Odoo's
// origin, and the browser must be let call loopback (posagent init --browser-till).
import { _t } from "@web/core/l10n/translation";
import { AlertDialog } from "@web/core/confirmation_dialog/confirmation_dialog";
import { PaymentInterface } from "@point_of_sale/app/payment/payment_interface";
import { register_payment_method } from "@point_of_sale/app/store/pos_store";

export class PaymentPosagent extends PaymentInterface {
    setup() {
        super.setup(...arguments);
        this.ids = new Map(); // the daemon's payment of each line
    }

    async send_payment_request(uuid) {
        await super.send_payment_request(...arguments);
        const line = this.lineOf(this.pos.get_order(), uuid);
        if (!line || line.amount <= 0) {
            this.say(_t("Only amounts above nothing can be paid; refund on posagent's page."));
            return false;
        }
        const { decimal_places: decimals } = this.pos.currency;
        const order = this.pos.get_order();
        // One sale reference for a payment line, so that a browser that was loaded anew finds the same payment.
        const body = { sale_ref: `ODOO-${uuid}`.slice(0, 64), amount: Math.round(line.amount * 10 ** decimals), description: String(order.name).slice(0, 64) };
        line.set_payment_status("waitingCard");
        let payment = await this.arm(body, `odoo-${uuid}`.slice(0, 64));
        if (!payment) {
            return false; // "retry" sends the same key again: it is the same payment
        }
        this.ids.set(uuid, payment.id);
        for (let version = 0; !payment.final; version = payment.version) {
            const got = await this.call("GET", `/v1/payments/${payment.id}?since=${version}&wait=10`);
            if (got?.status === 200) {
                payment = got.body;
            } else {
                await new Promise((done) => setTimeout(done, 1000)); // the daemon is away; the payment goes on
            }
        }
        if (payment.status !== "paid") {
            this.say(`${payment.message.en} - ${payment.next_step.en}`);
            await this.call("POST", `/v1/payments/${payment.id}/acknowledge`, {});
            return false; // Odoo makes a new try on this line: see README, "a second try"
        }
        line.transaction_id = payment.transaction_id;
        line.card_type = "WeChat Pay";
        line.set_receipt_info(`WeChat Pay ${payment.transaction_id}`);
        await this.call("POST", `/v1/payments/${payment.id}/acknowledge`, {});
        return true;
    }

    // The line is removed only where the payment is cancelled for certain; what may still be paid keeps it.
    async send_payment_cancel(order, uuid) {
        await super.send_payment_cancel(...arguments);
        const id = this.ids.get(uuid);
        if (!id) {
            return true;
        }
        const got = await this.call("POST", `/v1/payments/${id}/cancel`, {});
        if (got?.status === 200 && got.body.status === "cancelled") {
            return true;
        }
        this.say(_t("Not cancelled yet: it may still be paid. Wait for its result."));
        return false;
    }

    // arm returns the payment; an answer that is lost says nothing, so the same key is sent again.
    async arm(body, key) {
        for (let tries = 0; tries < 5; tries++) {
            const got = await this.call("POST", "/v1/payments", body, key);
            if (got?.status === 201) {
                return got.body;
            }
            if (got && got.status !== 500 && got.body.code !== "stopping") {
                this.say(got.body.next_step.en);
                return undefined;
            }
            await new Promise((done) => setTimeout(done, 1000 * tries));
        }
        this.say(_t("posagent does not answer. Do not charge again before it does."));
        return undefined;
    }

    async call(method, path, body, key) {
        const headers = { Authorization: `Bearer ${this.payment_method.posagent_token}` };
        if (body) {
            headers["Content-Type"] = "application/json";
        }
        if (key) {
            headers["Idempotency-Key"] = key;
        }
        try {
            const answer = await fetch(this.payment_method.posagent_url + path, { method, headers, body: body && JSON.stringify(body), signal: AbortSignal.timeout(30000) });
            return { status: answer.status, body: await answer.json() };
        } catch {
            return undefined;
        }
    }

    lineOf(order, uuid) {
        return (order.payment_ids ?? order.paymentlines).find((line) => line.uuid === uuid || line.cid === uuid);
    }

    say(body) {
        this.env.services.dialog.add(AlertDialog, { title: _t("WeChat Pay"), body });
    }
}

register_payment_method("posagent", PaymentPosagent);
