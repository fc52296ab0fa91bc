from odoo import api, fields, models


class PosPaymentMethod(models.Model):
    _inherit = "pos.payment.method"

    posagent_url = fields.Char("posagent address", default="http://127.0.0.1:7080", help="Of the till's own computer: the browser calls it.")
    posagent_token = fields.Char("posagent token", help="With the scope pay only: posagent token add. Every cashier's browser is given it.")

    def _get_payment_terminal_selection(self):
        return super()._get_payment_terminal_selection() + [("posagent", "WeChat Pay (posagent)")]

    @api.model
    def _load_pos_data_fields(self, config_id):
        return super()._load_pos_data_fields(config_id) + ["posagent_url", "posagent_token"]
